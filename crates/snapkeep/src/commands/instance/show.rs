//! Instances and images in words.

use serde_json::Value;
use snapkeep_api::native::volumes::types::{Image, ImageFormat, Images, Instance, Instances};

use super::super::volume::origin;
use crate::output::{bytes, table, time};

fn driver(instance: &Instance) -> &str {
    instance
        .host
        .get("driver")
        .and_then(Value::as_str)
        .unwrap_or("none")
}

/// All instances.
pub fn instances(found: &Instances) -> String {
    if found.instances.is_empty() {
        return "no instances; make one: snapkeep instance add NAME VOLUME".to_owned();
    }
    let rows = found.instances.iter().map(|instance| {
        [
            instance.id.clone(),
            instance.name.clone(),
            driver(instance).to_owned(),
            instance.volumes.join(", "),
            instance.description.clone(),
        ]
    });
    table(["ID", "NAME", "DRIVER", "VOLUMES", ""], rows)
}

/// One instance.
pub fn instance(found: &Instance) -> String {
    let mut lines = vec![
        format!("instance  {}", found.id),
        format!("name      {}", found.name),
    ];
    if !found.description.is_empty() {
        lines.push(format!("about     {}", found.description));
    }
    lines.push(format!("known     {}", origin(found.origin, "instances")));
    lines.push(format!("volumes   {}", found.volumes.join(", ")));
    lines.push(format!("driver    {}", driver(found)));
    let settings = found.host.as_object().into_iter().flatten();
    for (key, value) in settings.filter(|(key, _)| *key != "driver") {
        lines.push(format!("          {key} = {value}"));
    }
    lines.join("\n")
}

fn format_word(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Qcow2 => "qcow2",
        ImageFormat::Qcow2Zlib => "qcow2-zlib",
        ImageFormat::Raw => "raw",
        ImageFormat::Ova => "ova",
    }
}

/// All images.
pub fn images(found: &Images) -> String {
    if found.images.is_empty() {
        return "no images; make one: snapkeep instance image SNAPSHOT NAME".to_owned();
    }
    let rows = found.images.iter().map(|image| {
        let size = image.disks.iter().map(|disk| disk.file_bytes).sum();
        [
            image.id.clone(),
            image.name.clone(),
            format_word(image.format).to_owned(),
            image.snapshot.clone(),
            time(image.created_ms),
            bytes(size),
            image.path.clone(),
        ]
    });
    table(
        ["ID", "NAME", "FORMAT", "FROM", "MADE", "SIZE", "PATH"],
        rows,
    )
}

/// One image.
pub fn image(made: &Image) -> String {
    let rows = made.disks.iter().map(|disk| {
        [
            disk.file.clone(),
            bytes(disk.file_bytes),
            bytes(disk.size_bytes),
            disk.sha256.clone(),
        ]
    });
    let disks = table(["FILE", "SIZE", "DISK", "SHA-256"], rows);
    format!(
        "image {} ({}) is {}\n\n{disks}",
        made.id, made.name, made.path
    )
}
