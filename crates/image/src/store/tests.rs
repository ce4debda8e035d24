use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn digest(text: &str) -> Digest {
    Digest::of("test").field("text", text).finish()
}

fn open(dir: &Path) -> Store {
    Store::open(&dir.join("store")).unwrap()
}

fn add_file(store: &Store, text: &str, references: &[PathBuf]) -> PathBuf {
    store
        .add("file", &digest(text), references, &GO_ON, |staging| {
            fs::write(staging.out(), text).unwrap();
            Ok(Seal::ReadOnly)
        })
        .unwrap()
}

fn names(store: &Store) -> Vec<String> {
    store.names().unwrap()
}

#[test]
fn entry_is_read_only_and_made_once() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let path = add_file(&store, "a", &[]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "a");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o444);
    let again = store.add("file", &digest("a"), &[], &GO_ON, |_| panic!("made twice"));
    assert_eq!(again.unwrap(), path);
}

#[test]
fn failure_leaves_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let result = store.add("x", &digest("x"), &[], &GO_ON, |staging| {
        fs::create_dir(staging.out()).unwrap();
        Err(Error::NoArchive)
    });
    assert!(result.is_err());
    assert_eq!(names(&store), Vec::<String>::new());
}

#[test]
fn concurrent_builders_make_it_once() {
    let temp = tempfile::tempdir().unwrap();
    let built = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                open(temp.path())
                    .add("x", &digest("x"), &[], &GO_ON, |staging| {
                        built.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(100));
                        fs::write(staging.out(), "x").unwrap();
                        Ok(Seal::ReadOnly)
                    })
                    .unwrap();
            });
        }
    });
    assert_eq!(built.into_inner(), 1);
}

#[test]
fn interrupted_wait_for_another_builder_ends() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let other = open(temp.path());
    let entry = entry_name("x", &digest("x"));
    let _held = other.lock_entry(&entry, &GO_ON).unwrap();
    let result = store.add("x", &digest("x"), &[], &AtomicBool::new(true), |_| panic!());
    assert!(matches!(result, Err(Error::Interrupted)));
}

#[test]
fn collection_keeps_roots_and_what_they_refer_to() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let kernel = add_file(&store, "kernel", &[]);
    let package = add_file(&store, "package", std::slice::from_ref(&kernel));
    let dead = add_file(&store, "dead", &[]);
    let result = temp.path().join("result");
    symlink(&package, &result).unwrap();
    store.add_root(&result).unwrap();

    let planned = store.gc(true, &GO_ON).unwrap();
    assert_eq!(planned.paths, vec![dead.clone()]);
    assert!(dead.exists());
    let report = store.gc(false, &GO_ON).unwrap();
    assert_eq!(report, planned);
    assert!(report.freed_bytes > 0);
    assert!(!dead.exists() && kernel.exists() && package.exists());

    fs::remove_file(&result).unwrap();
    assert_eq!(store.gc(false, &GO_ON).unwrap().paths.len(), 2);
    let roots = fs::read_dir(temp.path().join("roots")).unwrap();
    assert_eq!(roots.count(), 0);
}

#[test]
fn collection_deletes_read_only_trees_and_leftovers() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    store
        .add("tree", &digest("t"), &[], &GO_ON, |staging| {
            fs::create_dir_all(staging.out().join("a/b")).unwrap();
            fs::write(staging.out().join("a/b/c"), "").unwrap();
            Ok(Seal::ReadOnly)
        })
        .unwrap();
    fs::create_dir_all(store.dir().join(".tmp-cut-off/x")).unwrap();
    assert_eq!(store.gc(false, &GO_ON).unwrap().paths.len(), 2);
    assert_eq!(names(&store), Vec::<String>::new());
}

#[test]
fn collection_waits_for_builders() {
    let temp = tempfile::tempdir().unwrap();
    let builder = open(temp.path());
    let path = add_file(&builder, "new", &[]);
    let result = open(temp.path()).gc(false, &AtomicBool::new(true));
    assert!(matches!(result, Err(Error::Interrupted)));
    assert!(path.exists());
    drop(builder);
    open(temp.path()).gc(false, &GO_ON).unwrap();
    assert!(!path.exists());
}
