//! The part of the story about a disk.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use http::Method;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::DemoClient;
use super::story::Story;
use crate::exit::Failure;
use crate::output::bytes;

const MIB: u64 = 1 << 20;
const DISK_BYTES: u64 = 256 * MIB;
/// Where data lies, in MiB; the rest of the disk is a hole.
const DATA_MIB: [u64; 4] = [0, 1, 100, 200];
/// What is overwritten later.
const CHANGED_MIB: u64 = 100;

/// A disk in the volumes folder: snapshot, change, increment, rollback, and a proof by hash.
pub async fn tell(
    client: &DemoClient<'_>,
    story: &Story,
    data_dir: &Path,
) -> Result<String, Failure> {
    story.step("Keep a disk, too: any raw or qcow2 file in the volumes folder is one");
    let file = data_dir.join("volumes").join("disk.raw");
    std::fs::create_dir_all(data_dir.join("volumes"))?;
    make(&file)?;
    let before = digest(&file).await?;
    story.answer(&format!(
        "{}: a disk of {} with {} of data",
        file.display(),
        bytes(DISK_BYTES),
        bytes(DATA_MIB.len() as u64 * MIB)
    ));
    let found = client.send(Method::GET, "/api/v1/volumes", None).await?;
    let disk = found["volumes"]
        .as_array()
        .and_then(|volumes| volumes.iter().find(|volume| volume["name"] == "disk"))
        .ok_or_else(|| Failure::failed(format!("the disk is not among the volumes: {found}")))?;
    story.answer(&json!({"id": disk["id"], "name": disk["name"], "format": disk["format"], "size_bytes": disk["size_bytes"], "status": disk["status"]}).to_string());
    let volume = text(disk, "id")?;

    story.step("Snapshot it, change 1 MiB, snapshot it again");
    let first = take(client, story, &volume, "before").await?;
    overwrite(&file)?;
    let second = take(client, story, &volume, "after").await?;
    story.proved(&format!(
        "the increment added {} where the first added {}",
        size(&second),
        size(&first)
    ));

    story.step("Roll the disk back to the first");
    let first = text(&first, "id")?;
    let path = format!("/api/v1/volume-snapshots/{first}/apply");
    let accepted = client.send(Method::POST, &path, Some(json!({}))).await?;
    let job = client.finished(&accepted).await?;
    story.answer(&json!({"state": job["state"], "result": job["result"]}).to_string());
    let now = digest(&file).await?;
    if now != before {
        return Err(Failure::failed(format!(
            "the disk was rolled back to {now} instead of {before}"
        )));
    }
    story.proved(&format!(
        "every byte of the disk is as it was: SHA-256 {}…",
        &before[..16]
    ));
    Ok(first)
}

async fn take(
    client: &DemoClient<'_>,
    story: &Story,
    volume: &str,
    name: &str,
) -> Result<Value, Failure> {
    let body = json!({"resources": [volume], "name": name});
    let accepted = client
        .send(Method::POST, "/api/v1/volume-snapshots", Some(body))
        .await?;
    client.finished(&accepted).await?;
    let id = accepted["snapshots"][0].as_str().unwrap_or_default();
    let path = format!("/api/v1/volume-snapshots/{id}");
    let taken = client.quietly(Method::GET, &path, None).await?;
    let disk = &taken["disks"][0];
    story.answer(&json!({"id": taken["id"], "full": taken["full"], "parent_id": taken["parent_id"], "status": taken["status"], "size_bytes": taken["size_bytes"], "change_source": disk["change_source"]}).to_string());
    Ok(taken)
}

fn text(value: &Value, key: &str) -> Result<String, Failure> {
    let text = value[key].as_str().map(str::to_owned);
    text.ok_or_else(|| Failure::failed(format!("there is no {key} in {value}")))
}

fn size(snapshot: &Value) -> String {
    bytes(snapshot["size_bytes"].as_u64().unwrap_or_default())
}

/// Writes the disk: random data in a few places, holes everywhere else.
fn make(file: &Path) -> Result<(), Failure> {
    let mut disk = File::create(file)?;
    let mut random = StdRng::seed_from_u64(1);
    let mut data = vec![0; MIB as usize];
    for place in DATA_MIB {
        random.fill_bytes(&mut data);
        disk.seek(SeekFrom::Start(place * MIB))?;
        disk.write_all(&data)?;
    }
    disk.set_len(DISK_BYTES)?;
    Ok(disk.sync_all()?)
}

fn overwrite(file: &Path) -> Result<(), Failure> {
    let mut disk = OpenOptions::new().write(true).open(file)?;
    let mut data = vec![0; MIB as usize];
    StdRng::seed_from_u64(2).fill_bytes(&mut data);
    disk.seek(SeekFrom::Start(CHANGED_MIB * MIB))?;
    disk.write_all(&data)?;
    Ok(disk.sync_all()?)
}

/// SHA-256 of the whole disk, holes included.
async fn digest(file: &Path) -> Result<String, Failure> {
    let file = file.to_owned();
    let digest = tokio::task::spawn_blocking(move || {
        let mut disk = File::open(file)?;
        let mut hash = Sha256::new();
        let mut data = vec![0; MIB as usize];
        loop {
            match disk.read(&mut data)? {
                0 => return Ok::<_, std::io::Error>(hash.finalize()),
                count => hash.update(&data[..count]),
            }
        }
    });
    let digest = digest.await.map_err(Failure::failed)??;
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
