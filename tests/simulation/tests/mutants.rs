//! The ways to break the lock protocol are kept up with its code; that each is noticed is shown by `cargo lock-mutants`.

use std::path::Path;

use simulation::mutants::LOCK;

#[test]
fn every_mutant_fits_the_code() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let misfits: Vec<String> = LOCK.iter().filter_map(|mutant| mutant.applied(root).err()).collect();
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
}
