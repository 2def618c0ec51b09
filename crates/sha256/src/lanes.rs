//! The compression function of SHA-256 on sixteen messages at once, one in each 32-bit lane of AVX-512 registers.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_ror_epi32, _mm512_set_epi8,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4,
    _mm512_srli_epi32, _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

/// Messages that are hashed side by side.
pub(crate) const LANES: usize = 16;
/// Bytes in a block.
pub(crate) const BLOCK: usize = 64;

/// Cube roots of the first 64 primes, FIPS 180-4 §4.2.2.
const ROUND: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// The states of all lanes: word by word, as the registers hold them.
#[derive(Clone, Debug, Default)]
pub(crate) struct States([[u32; LANES]; 8]);

impl States {
    pub(crate) fn get(&self, lane: usize) -> [u32; 8] {
        self.0.map(|word| word[lane])
    }

    pub(crate) fn set(&mut self, lane: usize, state: &[u32; 8]) {
        for (word, value) in self.0.iter_mut().zip(state) {
            word[lane] = *value;
        }
    }
}

/// Proof that the processor has the instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes(());

impl Lanes {
    /// What this processor can do.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        has.then_some(Self(()))
    }

    /// Takes as many blocks of each message into its state. All runs must have the same length.
    pub(crate) fn compress(self, states: &mut States, runs: &[&[[u8; BLOCK]]; LANES]) {
        // SAFETY: `Lanes` is only made by `detect`, which found the features that the function is compiled for.
        unsafe { compress(states, runs) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn compress(states: &mut States, runs: &[&[[u8; BLOCK]]; LANES]) {
    let mut state = [_mm512_setzero_si512(); 8];
    for (register, words) in state.iter_mut().zip(&states.0) {
        *register = load(words);
    }
    let blocks = runs.iter().map(|run| run.len()).min().unwrap_or_default();
    #[expect(clippy::needless_range_loop, reason = "one number for all runs")]
    for number in 0..blocks {
        let mut schedule = transposed(std::array::from_fn(|lane| &runs[lane][number]));
        let before = state;
        for (step, constants) in ROUND.as_chunks::<LANES>().0.iter().enumerate() {
            if step > 0 {
                extend(&mut schedule);
            }
            state = sixteen_rounds(state, &schedule, constants);
        }
        for (after, before) in state.iter_mut().zip(before) {
            *after = _mm512_add_epi32(*after, before);
        }
    }
    for (words, register) in states.0.iter_mut().zip(state) {
        // SAFETY: the array has room for the 64 bytes of a register; no alignment is asked for.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), register) };
    }
}

/// Calls a macro with 0 to 15: indices that the compiler knows keep everything in registers.
macro_rules! sixteen {
    ($each:ident) => {
        $each!(0);
        $each!(1);
        $each!(2);
        $each!(3);
        $each!(4);
        $each!(5);
        $each!(6);
        $each!(7);
        $each!(8);
        $each!(9);
        $each!(10);
        $each!(11);
        $each!(12);
        $each!(13);
        $each!(14);
        $each!(15);
    };
}

/// Rounds, each with a word of the message schedule and its constant.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn sixteen_rounds(
    state: [__m512i; 8],
    schedule: &[__m512i; LANES],
    constants: &[u32; LANES],
) -> [__m512i; 8] {
    const CHOOSE: i32 = 0xca;
    const MAJORITY: i32 = 0xe8;
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
    macro_rules! round {
        ($at:literal) => {
            let constant = _mm512_set1_epi32(constants[$at].cast_signed());
            let word = _mm512_add_epi32(schedule[$at], constant);
            let sum_e = xor3(
                _mm512_ror_epi32::<6>(e),
                _mm512_ror_epi32::<11>(e),
                _mm512_ror_epi32::<25>(e),
            );
            let chosen = _mm512_ternarylogic_epi32::<CHOOSE>(e, f, g);
            let first =
                _mm512_add_epi32(_mm512_add_epi32(h, word), _mm512_add_epi32(sum_e, chosen));
            let sum_a = xor3(
                _mm512_ror_epi32::<2>(a),
                _mm512_ror_epi32::<13>(a),
                _mm512_ror_epi32::<22>(a),
            );
            let major = _mm512_ternarylogic_epi32::<MAJORITY>(a, b, c);
            h = g;
            g = f;
            f = e;
            e = _mm512_add_epi32(d, first);
            d = c;
            c = b;
            b = a;
            a = _mm512_add_epi32(first, _mm512_add_epi32(sum_a, major));
        };
    }
    sixteen!(round);
    [a, b, c, d, e, f, g, h]
}

/// The next sixteen words of the message schedule in place of these.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn extend(schedule: &mut [__m512i; LANES]) {
    macro_rules! word {
        ($at:literal) => {
            schedule[$at] = next_word(schedule, $at);
        };
    }
    sixteen!(word);
}

/// The word sixteen places on, from the last sixteen, which are kept in a ring.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn next_word(schedule: &[__m512i; LANES], at: usize) -> __m512i {
    let near = schedule[(at + 1) % LANES];
    let far = schedule[(at + 14) % LANES];
    let small_0 = xor3(
        _mm512_ror_epi32::<7>(near),
        _mm512_ror_epi32::<18>(near),
        _mm512_srli_epi32::<3>(near),
    );
    let small_1 = xor3(
        _mm512_ror_epi32::<17>(far),
        _mm512_ror_epi32::<19>(far),
        _mm512_srli_epi32::<10>(far),
    );
    _mm512_add_epi32(
        _mm512_add_epi32(schedule[at], small_0),
        _mm512_add_epi32(schedule[(at + 9) % LANES], small_1),
    )
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    const XOR: i32 = 0x96;
    _mm512_ternarylogic_epi32::<XOR>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load<T>(values: &[T; LANES]) -> __m512i {
    const { assert!(size_of::<[T; LANES]>() == BLOCK) };
    // SAFETY: 64 bytes are there to be read; no alignment is asked for, and every bit pattern is a register.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

/// Word `n` of all blocks in register `n`, in the processor's byte order.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transposed(blocks: [&[u8; BLOCK]; LANES]) -> [__m512i; LANES] {
    let swap = _mm512_set_epi8(
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11, 4, 5,
        6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8,
        9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
    );
    let mut rows = [_mm512_setzero_si512(); LANES];
    for (row, block) in rows.iter_mut().zip(blocks) {
        let (words, _) = block.as_chunks::<4>();
        let words: &[[u8; 4]; LANES] = words.try_into().unwrap_or(&[[0; 4]; LANES]);
        *row = _mm512_shuffle_epi8(load(words), swap);
    }
    // Pairs of rows, then pairs of pairs: each 128-bit quarter then holds one word of four rows.
    let mut quads = [_mm512_setzero_si512(); LANES];
    for group in 0..4 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|row| rows[group * 4 + row]);
        let (low_ab, high_ab) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (low_cd, high_cd) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        quads[group * 4] = _mm512_unpacklo_epi64(low_ab, low_cd);
        quads[group * 4 + 1] = _mm512_unpackhi_epi64(low_ab, low_cd);
        quads[group * 4 + 2] = _mm512_unpacklo_epi64(high_ab, high_cd);
        quads[group * 4 + 3] = _mm512_unpackhi_epi64(high_ab, high_cd);
    }
    // A transposition of the quarters puts the same word of all sixteen rows together.
    let mut columns = [_mm512_setzero_si512(); LANES];
    for word in 0..4 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|group| quads[group * 4 + word]);
        let (even_ab, odd_ab) = (
            _mm512_shuffle_i32x4::<0x88>(a, b),
            _mm512_shuffle_i32x4::<0xdd>(a, b),
        );
        let (even_cd, odd_cd) = (
            _mm512_shuffle_i32x4::<0x88>(c, d),
            _mm512_shuffle_i32x4::<0xdd>(c, d),
        );
        columns[word] = _mm512_shuffle_i32x4::<0x88>(even_ab, even_cd);
        columns[4 + word] = _mm512_shuffle_i32x4::<0x88>(odd_ab, odd_cd);
        columns[8 + word] = _mm512_shuffle_i32x4::<0xdd>(even_ab, even_cd);
        columns[12 + word] = _mm512_shuffle_i32x4::<0xdd>(odd_ab, odd_cd);
    }
    columns
}
