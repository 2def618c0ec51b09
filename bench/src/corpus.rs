//! The data that is backed up: made from fixed seeds, so that every machine measures the same.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::ValueEnum;
use rand::{Rng, RngCore, SeedableRng, rngs::SmallRng, seq::IndexedRandom};

/// What kind of data a corpus holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A disk image: half of it holes, the rest text, records and incompressible extents.
    Image,
    /// Two files of JSON documents, one a line.
    Ndjson,
    /// A tree of many small files.
    Tree,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const IMAGE_BYTES: u64 = 2048 * MIB;
const NDJSON_BYTES: u64 = 512 * MIB;
const TREE_FILES: u64 = 20_000;

/// A corpus on disk in its first state; [`Corpus::change`] brings it to the second.
pub struct Corpus {
    /// What it is.
    pub kind: Kind,
    /// The folder that is backed up.
    pub root: PathBuf,
    scale: f64,
}

impl Corpus {
    /// Makes the first state below `dir`, replacing what an earlier run left there.
    pub fn make(kind: Kind, dir: &Path, scale: f64) -> Result<Corpus> {
        let root = dir.join(format!("corpus-{kind:?}").to_lowercase());
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        fs::create_dir_all(&root)?;
        let corpus = Corpus { kind, root, scale };
        match kind {
            Kind::Image => corpus.make_image()?,
            Kind::Ndjson => corpus.write_ndjson(None)?,
            Kind::Tree => corpus.make_tree()?,
        }
        Ok(corpus)
    }

    /// Changes about 2 % of the data (NDJSON: 1 % of the documents, scattered).
    pub fn change(&self) -> Result<()> {
        match self.kind {
            Kind::Image => self.change_image(),
            Kind::Ndjson => self.write_ndjson(Some(99)),
            Kind::Tree => self.change_tree(),
        }
    }

    /// The size of the first state as seen by a reader, in bytes.
    pub fn size_bytes(&self) -> Result<u64> {
        crate::measure::folder_size(&self.root)
    }

    fn image_bytes(&self) -> u64 {
        (IMAGE_BYTES as f64 * self.scale) as u64 / MIB * MIB
    }

    /// Extents of 64 KiB to 8 MiB with gaps of the same sizes between them.
    fn make_image(&self) -> Result<()> {
        let mut rng = SmallRng::seed_from_u64(1);
        let file = File::create(self.root.join("disk.raw"))?;
        let size = self.image_bytes();
        file.set_len(size)?;
        let mut offset = 0;
        let mut text = Text::new(2);
        while offset < size {
            let length = extent_length(&mut rng).min(size - offset);
            file.write_all_at(&extent(&mut rng, &mut text, length as usize), offset)?;
            offset += length + extent_length(&mut rng);
        }
        file.sync_all()?;
        Ok(())
    }

    /// 60 % of the change are new extents, 40 % page writes in a hot tenth of the image.
    fn change_image(&self) -> Result<()> {
        let mut rng = SmallRng::seed_from_u64(3);
        let mut text = Text::new(4);
        let file = OpenOptions::new()
            .write(true)
            .open(self.root.join("disk.raw"))?;
        let size = self.image_bytes();
        let budget = size / 100;
        let mut written = 0;
        while written < budget * 6 / 10 {
            let length = extent_length(&mut rng).min(budget);
            let offset = rng.random_range(0..size - length) / 4096 * 4096;
            file.write_all_at(&extent(&mut rng, &mut text, length as usize), offset)?;
            written += length;
        }
        while written < budget {
            let length = 4096 * rng.random_range(1..=4);
            let offset = rng.random_range(0..size / 10) / 4096 * 4096;
            file.write_all_at(&extent(&mut rng, &mut text, length as usize), offset)?;
            written += length;
        }
        file.sync_all()?;
        Ok(())
    }

    /// Writes both files; with `edited`, one document in a hundred gets another text.
    fn write_ndjson(&self, edited: Option<u64>) -> Result<()> {
        let target = (NDJSON_BYTES as f64 * self.scale) as u64 / 2;
        for part in 0..2 {
            let mut documents = Documents::new(part);
            let mut edits = SmallRng::seed_from_u64(edited.unwrap_or_default() + part);
            let path = self.root.join(format!("part-{part}.ndjson"));
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
            let mut written = 0;
            while written < target {
                let mut line = documents.next_document();
                if edited.is_some() && edits.random_ratio(1, 100) {
                    let at = line.len() / 2;
                    line.replace_range(at..at, "edited ");
                }
                line.push('\n');
                file.write_all(line.as_bytes())?;
                written += line.len() as u64;
            }
            file.into_inner()?.sync_all()?;
        }
        Ok(())
    }

    fn tree_path(&self, number: u64) -> PathBuf {
        self.root
            .join(format!("d{:02}/e{:02}", number % 40, number / 40 % 25))
            .join(format!("f{number:06}.txt"))
    }

    fn make_tree(&self) -> Result<()> {
        let mut rng = SmallRng::seed_from_u64(5);
        let mut text = Text::new(6);
        for number in 0..(TREE_FILES as f64 * self.scale) as u64 {
            self.write_tree_file(number, &mut rng, &mut text)?;
        }
        Ok(())
    }

    fn change_tree(&self) -> Result<()> {
        let mut rng = SmallRng::seed_from_u64(7);
        let mut text = Text::new(8);
        let count = (TREE_FILES as f64 * self.scale) as u64;
        for number in 0..count {
            match rng.random_range(0..400) {
                0..6 => self.write_tree_file(number, &mut rng, &mut text)?,
                6 => fs::remove_file(self.tree_path(number))?,
                7 => self.write_tree_file(count + number, &mut rng, &mut text)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn write_tree_file(&self, number: u64, rng: &mut SmallRng, text: &mut Text) -> Result<()> {
        let path = self.tree_path(number);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        // Most files are small, a few are large, as in a source tree.
        let length = match rng.random_range(0..100) {
            0..70 => rng.random_range(200..8_000),
            70..97 => rng.random_range(8_000..40_000),
            _ => rng.random_range(40_000..400_000),
        };
        fs::write(path, extent(rng, text, length))?;
        Ok(())
    }
}

fn extent_length(rng: &mut SmallRng) -> u64 {
    let shift = rng.random_range(0..8);
    ((64 * KIB) << shift) / 4 * rng.random_range(2..=4)
}

/// Content of an extent: text, fixed records, or bytes that do not compress.
fn extent(rng: &mut SmallRng, text: &mut Text, length: usize) -> Vec<u8> {
    match rng.random_range(0..10) {
        0..5 => text.bytes(length),
        5..8 => records(rng, length),
        _ => {
            let mut bytes = vec![0; length];
            rng.fill_bytes(&mut bytes);
            bytes
        }
    }
}

/// Database-like rows: a counter, small numbers and padding.
fn records(rng: &mut SmallRng, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 64);
    let mut key: u64 = rng.random();
    while bytes.len() < length {
        key += 1;
        bytes.extend_from_slice(&key.to_le_bytes());
        bytes.extend_from_slice(&rng.random_range(0..1000u32).to_le_bytes());
        bytes.extend_from_slice(&rng.random::<u32>().to_le_bytes());
        bytes.extend_from_slice(&[0; 24]);
    }
    bytes.truncate(length);
    bytes
}

/// Text of made-up words whose frequencies fall off as in a natural language.
pub struct Text {
    words: Vec<String>,
    rng: SmallRng,
}

impl Text {
    /// A vocabulary that is the same for all seeds; the seed decides the order of words.
    pub fn new(seed: u64) -> Text {
        let mut rng = SmallRng::seed_from_u64(42);
        let syllables = [
            "ka", "lo", "mi", "ren", "ta", "su", "vor", "el", "din", "pa", "qui", "hes", "o",
            "wan", "ber",
        ];
        let words = (0..8_000)
            .map(|_| {
                let count = rng.random_range(1..=4);
                (0..count)
                    .filter_map(|_| syllables.choose(&mut rng).copied())
                    .collect()
            })
            .collect();
        Text {
            words,
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// The next word.
    pub fn word(&mut self) -> &str {
        let uniform: f64 = self.rng.random();
        let index = (self.words.len() as f64 * uniform * uniform * uniform) as usize;
        &self.words[index.min(self.words.len() - 1)]
    }

    /// `count` words with spaces between them.
    pub fn sentence(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count * 7);
        for _ in 0..count {
            let word = self.word().to_owned();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&word);
        }
        text
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 16);
        while bytes.len() < length {
            let word = self.word().as_bytes().to_vec();
            bytes.extend_from_slice(&word);
            bytes.push(b' ');
        }
        bytes.truncate(length);
        bytes
    }
}

/// Documents of about 1 KB: keywords, numbers, a date, about 100 words and 64 random hex digits.
pub struct Documents {
    rng: SmallRng,
    text: Text,
    next: u64,
}

impl Documents {
    /// A stream of documents that depends only on the seed.
    pub fn new(seed: u64) -> Documents {
        Documents {
            rng: SmallRng::seed_from_u64(1000 + seed),
            text: Text::new(2000 + seed),
            next: 0,
        }
    }

    /// The next document as JSON text without a line end.
    pub fn next_document(&mut self) -> String {
        let number = self.next;
        self.next += 1;
        let kinds = ["order", "invoice", "shipment", "refund", "note"];
        let kind = kinds[self.rng.random_range(0..kinds.len())];
        let day = self.rng.random_range(1..=28);
        let words = self.rng.random_range(85..=115);
        let body = self.text.sentence(words);
        let tag = self.text.word().to_owned();
        let mut key = [0u8; 32];
        self.rng.fill_bytes(&mut key);
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{{\"number\":{number},\"kind\":\"{kind}\",\"tag\":\"{tag}\",\"price\":{:.2},\"quantity\":{},\"at\":\"2026-{:02}-{day:02}T08:30:00Z\",\"body\":\"{body}\",\"key\":\"{hex}\"}}",
            self.rng.random_range(1.0..10_000.0f64),
            self.rng.random_range(1..100),
            self.rng.random_range(1..=12),
        )
    }
}
