//! Turns on `--cfg shuttle` for this package alone: no flag to set, and no other crate sees it.

fn main() {
    println!("cargo:rustc-cfg=shuttle");
    println!("cargo:rerun-if-changed=build.rs");
}
