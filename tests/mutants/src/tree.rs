//! The copy of the repository in which the library has all mutants at once, each off.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo;
use crate::edits::{self, Edit, Edited};
use crate::find::{self, Mutant};

/// What is mutated: all rules about documents, limits and connections, and what hands callbacks out.
const MUTATED: [&str; 5] =
    ["src/session/", "src/admission/", "src/registry/", "src/delivery.rs", "src/receive.rs"];
/// A file of nothing but checks of the engine by itself.
const CHECKS: &str = "validate.rs";
const NOT_COPIED: [&str; 3] = ["tests/mutants/", "tests/hosts/", "fuzz/"];

/// The copy.
#[derive(Debug)]
pub struct Tree {
    pub root: PathBuf,
    pub mutants: Vec<Mutant>,
    /// So many changes do not compile.
    pub unbuildable: usize,
}

struct Source {
    text: String,
    edits: Vec<Edit>,
}

/// Writes the copy, and leaves out every mutant that does not compile.
pub fn make(repository: &Path, out: &Path) -> Result<Tree, Box<dyn Error>> {
    let root = out.join("tree");
    let mut sources = BTreeMap::new();
    let mut mutants = Vec::new();
    for file in files(repository)? {
        let text = fs::read(repository.join(&file))?;
        if MUTATED.iter().any(|start| file.starts_with(start)) && !file.ends_with(CHECKS) {
            let text = String::from_utf8(text)?;
            let first = u32::try_from(mutants.len())?;
            let (found, edits) = find::find(&file, &text, first)?;
            mutants.extend(found);
            sources.insert(file, Source { text, edits });
        } else if file == "src/lib.rs" {
            let text = String::from_utf8(text)? + "\n#[doc(hidden)]\npub mod switch;\n";
            write(&root.join(file), text.as_bytes())?;
        } else {
            write(&root.join(file), &text)?;
        }
    }
    write(&root.join("src/switch.rs"), include_bytes!("switch.rs"))?;
    // What did not compile last time is left out from the start, so that cargo finds the copy as it was.
    let remembered = out.join("unbuildable.txt");
    let keys = fs::read_to_string(&remembered).unwrap_or_default();
    let keys: HashSet<&str> = keys.lines().collect();
    let mut unbuildable: HashSet<u32> = mutants
        .iter()
        .filter(|mutant| keys.contains(mutant.key().as_str()))
        .map(|mutant| mutant.number)
        .collect();
    leave_out_unbuildable(&root, out, &sources, &mut unbuildable)?;
    let (left_out, mutants): (Vec<Mutant>, Vec<Mutant>) =
        mutants.into_iter().partition(|mutant| unbuildable.contains(&mutant.number));
    fs::write(remembered, left_out.iter().map(|mutant| mutant.key() + "\n").collect::<String>())?;
    Ok(Tree { root, mutants, unbuildable: unbuildable.len() })
}

/// What git knows or would know.
fn files(repository: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository)
        .output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let is_copied = |file: &&str| !file.is_empty() && !NOT_COPIED.iter().any(|start| file.starts_with(start));
    Ok(listed.split('\0').filter(is_copied).map(str::to_owned).collect())
}

/// Writes a file if it is another, so that cargo builds nothing twice.
fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
}

/// Compiles until nothing is wrong any more. Each round leaves out the mutants at which the compiler found an error.
fn leave_out_unbuildable(
    root: &Path,
    out: &Path,
    sources: &BTreeMap<String, Source>,
    unbuildable: &mut HashSet<u32>,
) -> Result<(), Box<dyn Error>> {
    loop {
        let mut written = BTreeMap::new();
        for (file, source) in sources {
            let is_built = |edit: &&Edit| !edit.mutants.iter().any(|number| unbuildable.contains(number));
            let edited = edits::apply(&source.text, source.edits.iter().filter(is_built).cloned().collect());
            write(&root.join(file), edited.text.as_bytes())?;
            written.insert(file.as_str(), edited);
        }
        let errors = cargo::check(root, out)?;
        if errors.is_empty() {
            return Ok(());
        }
        let before = unbuildable.len();
        for error in &errors {
            let there = mutants_at(&written, error);
            unbuildable.extend(there);
        }
        eprintln!("{} do not compile so far", unbuildable.len());
        if unbuildable.len() == before {
            return Err(format!("the copy does not compile: {}", errors[0].message).into());
        }
    }
}

/// The mutants at the first place of the error that has any.
fn mutants_at(written: &BTreeMap<&str, Edited>, error: &cargo::CompileError) -> Vec<u32> {
    let at = |place: &(String, usize)| written.get(place.0.as_str()).and_then(|edited| edited.at(place.1));
    error.places.iter().find_map(at).map(<[u32]>::to_vec).unwrap_or_default()
}
