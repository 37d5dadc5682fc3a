//! The ways to break the protocols are kept up with their code; that each is noticed is shown by `cargo lock-mutants` and
//! `cargo ecs-mutants`.

use std::path::Path;

use simulation::mutants::{ECS, LOCK, Mutant};

fn all_fit<S>(mutants: &[Mutant<S>]) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let misfits: Vec<String> = mutants.iter().filter_map(|mutant| mutant.applied(root).err()).collect();
    assert!(misfits.is_empty(), "{}", misfits.join("\n"));
}

#[test]
fn every_mutant_of_the_lock_fits_the_code() {
    all_fit(LOCK);
}

#[test]
fn every_mutant_of_the_ecs_relay_fits_the_code() {
    all_fit(ECS);
}
