//! Numbers for people.

use bytesize::ByteSize;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `1.5 MiB`.
pub fn bytes(count: u64) -> String {
    ByteSize::b(count).display().iec().to_string()
}

/// Local date and time to the second.
pub fn time(milliseconds: i64) -> String {
    match Timestamp::from_millisecond(milliseconds) {
        Ok(moment) => moment
            .to_zoned(TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => String::new(),
    }
}

/// `250 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration_ms(milliseconds: i64) -> String {
    let milliseconds = milliseconds.max(0);
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", milliseconds as f64 / 1e3),
        60_000..3_600_000 => format!(
            "{} min {} s",
            milliseconds / 60_000,
            milliseconds / 1_000 % 60
        ),
        _ => format!(
            "{} h {} min",
            milliseconds / 3_600_000,
            milliseconds / 60_000 % 60
        ),
    }
}

/// How to call this program from where the reader is: its name where PATH finds it, else its path.
pub fn program() -> String {
    const NAME: &str = "snapkeep";
    let Ok(own) = std::env::current_exe() else {
        return NAME.to_owned();
    };
    let on_path = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| {
            folder
                .join(NAME)
                .canonicalize()
                .is_ok_and(|found| found == own)
        })
    });
    if on_path {
        return NAME.to_owned();
    }
    let relative = std::env::current_dir()
        .ok()
        .and_then(|here| own.strip_prefix(here).ok().map(std::path::Path::to_owned));
    relative.unwrap_or(own).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_well() {
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(duration_ms(250), "250 ms");
        assert_eq!(duration_ms(4_200), "4.2 s");
        assert_eq!(duration_ms(200_000), "3 min 20 s");
        assert_eq!(duration_ms(7_500_000), "2 h 5 min");
    }
}
