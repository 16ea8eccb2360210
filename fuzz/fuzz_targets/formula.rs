#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| autoloss_fuzz::formula(data));
