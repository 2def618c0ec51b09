#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snapkeep_vault::format::robust::pack_header(data));
