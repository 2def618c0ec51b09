//! Persistent dirty bitmaps of qcow2 images that nobody runs.
//!
//! QEMU keeps them up to date by itself once they are in the image, and marks them unusable when it did not end cleanly. They are
//! added and removed with `qemu-img`, which takes QEMU's locks, so that nothing happens to an image that is in use.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stat::FileStat;
use crate::volume::VolumeError;
use crate::volume::files::{find_tool, random_hex};
use crate::volume::host::{Output, run_program};

/// Longest run of `qemu-img` on the metadata of an image.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What an image says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ImageDescription {
    bitmaps: Vec<Bitmap>,
    /// What the files under it look like; None: one of them cannot be watched.
    backing: Option<Vec<FileStat>>,
}

/// A bitmap as `qemu-img info` lists it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Bitmap {
    name: String,
    #[serde(default)]
    flags: Vec<String>,
}

/// What a token recognises a bitmap by: a name that no other image has, and the files under the image, whose changes no bitmap
/// records.
#[derive(Debug, Serialize, Deserialize)]
struct BitmapIdentity {
    bitmap: String,
    #[serde(default)]
    backing: Vec<FileStat>,
}

/// The bitmap of a token.
pub(super) fn name_in_token(identity: &Value) -> Option<&str> {
    identity.get("bitmap")?.as_str()
}

/// What a token recognises bitmap `name` by, of an image that lies over `backing`; none when one of those cannot be watched.
pub(in crate::volume) fn identity_over(name: &str, backing: &[PathBuf]) -> Option<Value> {
    let identity = BitmapIdentity {
        bitmap: name.to_owned(),
        backing: stats_of(backing)?,
    };
    serde_json::to_value(identity).ok()
}

/// Whether the files under an image are still those of the token.
pub(in crate::volume) fn is_over(identity: &Value, backing: &[PathBuf]) -> bool {
    BitmapIdentity::deserialize(identity)
        .is_ok_and(|token| stats_of(backing).as_ref() == Some(&token.backing))
}

fn stats_of(files: &[PathBuf]) -> Option<Vec<FileStat>> {
    files
        .iter()
        .map(|path| Some(FileStat::of(&fs::metadata(path).ok()?)))
        .collect()
}

/// Asks an image for its bitmaps and the files under it.
pub(super) fn describe(image: &Path) -> Result<ImageDescription, VolumeError> {
    let output = qemu_img(
        &["info", "--output=json", "--backing-chain", "-f", "qcow2"],
        &[],
        image,
    )?;
    parse(&output.stdout)
        .map_err(|cause| failed(image, format!("its description cannot be read: {cause}")))
}

fn parse(text: &str) -> serde_json::Result<ImageDescription> {
    let chain: Vec<Value> = serde_json::from_str(text)?;
    let bitmaps = chain
        .first()
        .and_then(|image| image.pointer("/format-specific/data/bitmaps"))
        .map(Vec::deserialize)
        .transpose()?
        .unwrap_or_default();
    let files: Option<Vec<PathBuf>> = chain
        .iter()
        .skip(1)
        .map(|image| Some(PathBuf::from(image.get("filename")?.as_str()?)))
        .collect();
    let backing = files.as_deref().and_then(stats_of);
    Ok(ImageDescription { bitmaps, backing })
}

impl ImageDescription {
    /// The bitmap of the token `identity`, when it tells all changes since it was added; else why it does not.
    pub(super) fn usable<'a>(&self, identity: &'a Value) -> Result<&'a str, String> {
        let name = name_in_token(identity).ok_or("the token of the bitmap cannot be read")?;
        let token = BitmapIdentity::deserialize(identity)
            .map_err(|cause| format!("the token of the bitmap cannot be read: {cause}"))?;
        let Some(bitmap) = self.bitmaps.iter().find(|bitmap| bitmap.name == name) else {
            return Err(format!(
                "the image has no bitmap [{name}] any more, as after a copy or a conversion"
            ));
        };
        let has = |flag: &str| bitmap.flags.iter().any(|held| held == flag);
        if has("in-use") {
            return Err(format!(
                "bitmap [{name}] is unusable since the image's host ended without closing it"
            ));
        }
        if !has("auto") {
            return Err(format!("bitmap [{name}] was switched off"));
        }
        if self.backing.as_ref() != Some(&token.backing) {
            return Err("a file under the image changed, or cannot be watched".to_owned());
        }
        Ok(name)
    }
}

/// Adds a bitmap that records all changes from now on, and returns its name and what a token recognises it by.
pub(super) fn add(
    volume: &str,
    image: &Path,
    description: &ImageDescription,
) -> Result<(String, Value), VolumeError> {
    let name = format!("{}{}", prefix(volume), random_hex());
    qemu_img(&["bitmap", "--add", "-f", "qcow2"], &[&name], image)?;
    let identity = BitmapIdentity {
        bitmap: name.clone(),
        backing: description.backing.clone().unwrap_or_default(),
    };
    Ok((name, serde_json::to_value(identity).unwrap_or_default()))
}

/// Removes a bitmap.
pub(super) fn remove(image: &Path, name: &str) -> Result<(), VolumeError> {
    qemu_img(&["bitmap", "--remove", "-f", "qcow2"], &[name], image).map(drop)
}

/// What the names of a volume's bitmaps begin with, those of live captures too.
fn prefix(volume: &str) -> String {
    format!("snapkeep-{volume}-")
}

/// Removes all bitmaps of the volume but `kept`. What cannot be removed now, because the image is in use again, goes next time.
pub(super) fn remove_others(volume: &str, image: &Path, kept: Option<&str>) {
    let prefix = prefix(volume);
    let outcome = describe(image).and_then(|description| {
        description
            .bitmaps
            .iter()
            .filter(|bitmap| bitmap.name.starts_with(&prefix) && Some(bitmap.name.as_str()) != kept)
            .try_for_each(|bitmap| remove(image, &bitmap.name))
    });
    if let Err(cause) = outcome {
        tracing::debug!(image = %image.display(), %cause, "an old bitmap stays in the image for now");
    }
}

fn qemu_img(options: &[&str], after: &[&str], image: &Path) -> Result<Output, VolumeError> {
    let program = find_tool("qemu-img", "qemu-utils")?;
    let mut argv = vec![program.display().to_string()];
    argv.extend(options.iter().map(|option| (*option).to_owned()));
    argv.push(image.display().to_string());
    argv.extend(after.iter().map(|argument| (*argument).to_owned()));
    let output = run_program(&argv, &[], TIMEOUT)?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(failed(image, output.complaint()))
    }
}

fn failed(image: &Path, message: String) -> VolumeError {
    VolumeError::Tool {
        tool: "qemu-img".to_owned(),
        location: image.display().to_string(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described(flags: &str, chain: &str) -> ImageDescription {
        let text = format!(
            r#"[{{"filename": "/d.qcow2", "format-specific": {{"type": "qcow2", "data": {{
                "compat": "1.1", "bitmaps": [{{"flags": {flags}, "name": "b", "granularity": 65536}}]}}}}}}{chain}]"#
        );
        parse(&text).unwrap()
    }

    #[test]
    fn only_a_recording_bitmap_that_was_closed_is_trusted() {
        let token = json!({"bitmap": "b"});
        assert_eq!(described(r#"["auto"]"#, "").usable(&token), Ok("b"));
        for flags in [r#"["auto", "in-use"]"#, "[]"] {
            assert!(described(flags, "").usable(&token).is_err());
        }
        assert!(
            described(r#"["auto"]"#, "")
                .usable(&json!({"bitmap": "c"}))
                .is_err()
        );
    }

    #[test]
    fn a_changed_file_under_the_image_is_seen() {
        let base = tempfile::NamedTempFile::new().unwrap();
        let chain = format!(r#", {{"filename": "{}"}}"#, base.path().display());
        let before = described(r#"["auto"]"#, &chain);
        let token = serde_json::to_value(BitmapIdentity {
            bitmap: "b".to_owned(),
            backing: before.backing.clone().unwrap(),
        })
        .unwrap();
        before.usable(&token).unwrap();
        base.as_file().set_len(4096).unwrap();
        assert!(described(r#"["auto"]"#, &chain).usable(&token).is_err());
        let gone = described(r#"["auto"]"#, r#", {"filename": "nbd://x"}"#);
        assert!(gone.usable(&token).is_err());
    }

    #[test]
    fn an_image_without_bitmaps_has_none() {
        let none = parse(r#"[{"format-specific": {"data": {"compat": "0.10"}}}]"#).unwrap();
        assert_eq!(none.bitmaps, []);
        assert!(parse("{").is_err());
    }
}
