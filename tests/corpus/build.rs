//! The tests run where there is a corpus; elsewhere they are listed as ignored.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SIGNALBOX_CORPUS");
    println!("cargo::rustc-check-cfg=cfg(corpus)");
    if std::env::var_os("SIGNALBOX_CORPUS").is_some_and(|folder| !folder.is_empty()) {
        println!("cargo::rustc-cfg=corpus");
    }
}
