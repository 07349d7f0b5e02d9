#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| bellwether_fuzz::speaker::keys(octets));
