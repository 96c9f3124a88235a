//! Checks what the README names: every test exists, every promise has one, and the dependency is this package.

use std::fs;
use std::path::Path;

/// Appends all Rust sources of a folder to `text`.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_tests_that_the_readme_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    sources(&root.join("tests"), &mut all);
    sources(&root.join("src"), &mut all);
    let readme = include_str!("../README.md");
    let mut named = [0; 13];
    for row in readme.lines().filter(|line| line.starts_with("| P")) {
        let promise: usize = row[3..].split(' ').next().unwrap().parse().unwrap();
        for name in row.split('`').skip(1).step_by(2) {
            assert!(all.contains(&format!("fn {name}(")), "no test has the name {name}");
            assert!(
                name.starts_with(&format!("p{promise}_")) || name.contains("_to_p"),
                "{name} under P{promise}"
            );
            named[promise] += 1;
        }
    }
    assert!(named[1..].iter().all(|count| *count > 0), "promises P1 to P12 have tests: {named:?}");
}

#[test]
fn the_dependency_in_the_readme_has_this_version_and_a_feature_that_exists() {
    let readme = include_str!("../README.md");
    let line = readme.lines().find(|line| line.starts_with("coedit = {")).expect("how to embed it");
    let version = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    assert_eq!(
        line,
        format!(r#"coedit = {{ version = "{version}", default-features = false, features = ["async"] }}"#)
    );
    assert!(include_str!("../Cargo.toml").lines().any(|line| line.starts_with("async = [")));
}

#[test]
fn the_files_that_the_readme_links_to_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = include_str!("../README.md");
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files: Vec<&str> = links.filter(|link| !link.starts_with('#') && !link.contains("://")).collect();
    assert!(files.len() > 3, "{files:?}");
    // A package holds no example host.
    let here =
        files.iter().filter(|file| !file.starts_with("tests/hosts/") || root.join("tests/hosts").exists());
    for file in here {
        assert!(root.join(file).exists(), "{file}");
    }
    for heading in links_to_headings(readme) {
        let headings = readme.lines().filter(|line| line.starts_with('#'));
        let mut anchors =
            headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"));
        assert!(anchors.any(|anchor| anchor == heading), "#{heading}");
    }
}

fn links_to_headings(readme: &str) -> impl Iterator<Item = &str> {
    readme.split("](#").skip(1).filter_map(|rest| rest.split(')').next())
}
