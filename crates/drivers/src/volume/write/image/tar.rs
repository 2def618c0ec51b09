//! The headers of a ustar archive (POSIX.1-1988), as OVA files are.

const BLOCK_BYTES: usize = 512;
/// Two blocks of zeros end an archive.
pub(super) const END_BYTES: u64 = 2 * BLOCK_BYTES as u64;
/// The largest size that eleven octal digits tell.
const MAX_OCTAL: u64 = (1 << 33) - 1;

/// The length of the header of a file.
pub(super) const HEADER_BYTES: u64 = BLOCK_BYTES as u64;

/// What a file of `bytes` takes up behind its header.
pub(super) fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES as u64)
}

/// The header of the regular file `name` (at most 99 bytes, which callers ensure). Sizes beyond 8 GiB are told in binary as
/// GNU tar does, which OVA tools read too.
pub(super) fn header(name: &str, bytes: u64, modified_s: u64) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    let name = &name.as_bytes()[..name.len().min(99)];
    block[..name.len()].copy_from_slice(name);
    put_octal(&mut block[100..108], 0o644);
    put_octal(&mut block[108..116], 0); // owner
    put_octal(&mut block[116..124], 0); // group
    if bytes <= MAX_OCTAL {
        put_octal(&mut block[124..136], bytes);
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&bytes.to_be_bytes());
    }
    put_octal(&mut block[136..148], modified_s.min(MAX_OCTAL));
    block[148..156].fill(b' '); // the sum is taken with blanks in its own place
    block[156] = b'0'; // a regular file
    block[257..263].copy_from_slice(b"ustar\0");
    block[263..265].copy_from_slice(b"00");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    put_octal(&mut block[148..155], sum);
    block[155] = b' ';
    block
}

/// Octal digits with leading zeros, and a zero byte at the end.
fn put_octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    for place in (0..digits).rev() {
        field[place] = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    field[digits] = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_octal_as_long_as_they_fit() {
        let block = header("disk.vmdk", 1000, 0);
        assert_eq!(&block[124..136], b"00000001750\0");
        assert_eq!(&block[..10], b"disk.vmdk\0");
        let block = header("disk.vmdk", 1 << 33, 0);
        assert_eq!(&block[124..136], &[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    }
}
