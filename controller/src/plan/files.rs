//! The objects that a plan is made for, as they stand in files.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The version of our objects, as a file names it.
const API_VERSION: &str = "bellwether.dev/v1beta1";

/// An object of a file.
#[derive(Debug)]
pub(super) struct Wish {
    /// Where it stands.
    pub(super) path: PathBuf,
    /// Whether it is a pool; otherwise it is an advertisement.
    pub(super) is_pool: bool,
    /// Its name.
    pub(super) name: String,
    /// The whole of it.
    pub(super) object: Value,
}

impl Wish {
    /// Its kind.
    pub(super) const fn kind(&self) -> &'static str {
        if self.is_pool {
            "IPAddressPool"
        } else {
            "L2Advertisement"
        }
    }
}

/// Why the files hold nothing that a plan can be made for.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is no YAML.
    #[error("{path} is no YAML: {error}")]
    Yaml {
        /// Which.
        path: PathBuf,
        /// Why.
        error: String,
    },
    /// A file holds something else than objects.
    #[error("{path}: {found} is no object: write apiVersion, kind, metadata and spec")]
    NoObject {
        /// Where.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// An object is of another kind.
    #[error(
        "{path}: {kind} {name:?} of {version:?} is nothing that a plan is made for: leave only \
         IPAddressPools and L2Advertisements in the file, of bellwether.dev/v1beta1"
    )]
    Kind {
        /// Where.
        path: PathBuf,
        /// Which kind.
        kind: String,
        /// Of which group and version.
        version: String,
        /// Its name.
        name: String,
    },
    /// An object is of another group or version.
    #[error(
        "{path}: {kind} {name:?} is of {version:?}: write apiVersion: bellwether.dev/v1beta1{fix}"
    )]
    Version {
        /// Where.
        path: PathBuf,
        /// Which kind.
        kind: String,
        /// Of which group and version.
        version: String,
        /// Its name.
        name: String,
        /// What else to do.
        fix: &'static str,
    },
    /// An object has no name.
    #[error("{path}: the {kind} has no name: write metadata.name")]
    Nameless {
        /// Where.
        path: PathBuf,
        /// Which kind.
        kind: String,
    },
    /// There is nothing in the files.
    #[error(
        "there is no IPAddressPool and no L2Advertisement in {0}; of a folder, files that end in \
         .yaml, .yml and .json are read"
    )]
    Nothing(String),
}

/// All objects of these files and folders; `-` is the standard input.
pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Wish>, FileError> {
    let mut wishes = Vec::new();
    for path in paths {
        let failed = |error| FileError::Unreadable {
            path: path.clone(),
            error,
        };
        if path == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(failed)?;
            wishes.extend(parse(Path::new("standard input"), &text)?);
        } else if path.is_dir() {
            for file in files_of(path).map_err(failed)? {
                wishes.extend(read(&file)?);
            }
        } else {
            wishes.extend(read(path)?);
        }
    }
    if wishes.is_empty() {
        let names: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(FileError::Nothing(names.join(", ")));
    }
    Ok(wishes)
}

/// The files of a folder that can hold objects, by name.
fn files_of(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    let files = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut files = files.collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("yaml" | "yml" | "json"))
    });
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<Wish>, FileError> {
    let text = std::fs::read_to_string(path).map_err(|error| FileError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    parse(path, &text)
}

/// The objects of a file: documents of YAML, or JSON objects one after the other, as jq prints them.
/// Those of a List, as kubectl prints it, count one by one.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Wish>, FileError> {
    let json: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect();
    let documents: Vec<Value> = match json {
        Ok(objects) => objects,
        Err(_) => serde_saphyr::from_multiple(text).map_err(|error| FileError::Yaml {
            path: path.to_owned(),
            error: first_line(&error.to_string()),
        })?,
    };
    let mut wishes = Vec::new();
    for object in documents.into_iter().filter(|object| !object.is_null()) {
        match object.pointer("/items").and_then(Value::as_array) {
            Some(items) if text_at(&object, "/kind").ends_with("List") => {
                for item in items {
                    wishes.push(wish(path, item.clone())?);
                }
            }
            _ => wishes.push(wish(path, object)?),
        }
    }
    Ok(wishes)
}

/// What the parser says of the place and the mistake, without the picture of it.
fn first_line(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

fn text_at<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let value = object.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_default()
}

fn wish(path: &Path, object: Value) -> Result<Wish, FileError> {
    let path = path.to_owned();
    let [version, kind, name] = ["/apiVersion", "/kind", "/metadata/name"]
        .map(|pointer| text_at(&object, pointer).to_owned());
    if kind.is_empty() {
        let found: String = object.to_string().chars().take(40).collect();
        return Err(FileError::NoObject { path, found });
    }
    let is_pool = kind == "IPAddressPool";
    if !is_pool && kind != "L2Advertisement" {
        return Err(FileError::Kind {
            path,
            kind,
            version,
            name,
        });
    }
    if version != API_VERSION {
        let fix = if version.starts_with("metallb.io/") {
            ", and leave metadata.namespace out (docs/metallb.md)"
        } else {
            ""
        };
        return Err(FileError::Version {
            path,
            kind,
            version,
            name,
            fix,
        });
    }
    if name.is_empty() {
        return Err(FileError::Nameless { path, kind });
    }
    Ok(Wish {
        path,
        is_pool,
        name,
        object,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str =
        "{apiVersion: bellwether.dev/v1beta1, kind: IPAddressPool, metadata: {name: lan}}";
    const ALL: &str =
        "{apiVersion: bellwether.dev/v1beta1, kind: L2Advertisement, metadata: {name: all}}";

    #[test]
    fn a_file_holds_pools_and_advertisements() {
        let json = r#"{"apiVersion":"bellwether.dev/v1beta1","kind":"IPAddressPool","metadata":{"name":"lan"}}"#;
        for (sentence, text, names) in [
            ("one", POOL.to_owned(), &["IPAddressPool lan"][..]),
            (
                "two documents, and an empty one",
                format!("{POOL}\n---\n---\n{ALL}\n"),
                &["IPAddressPool lan", "L2Advertisement all"],
            ),
            (
                "a List, as kubectl get --output yaml prints it",
                format!("apiVersion: v1\nkind: List\nitems: [{POOL}, {ALL}]\n"),
                &["IPAddressPool lan", "L2Advertisement all"],
            ),
            ("JSON", json.to_owned(), &["IPAddressPool lan"]),
            (
                "JSON objects one after the other, as jq prints them",
                format!("{json}\n{json}\n"),
                &["IPAddressPool lan", "IPAddressPool lan"],
            ),
            ("nothing", String::new(), &[]),
        ] {
            let wishes = parse(Path::new("pools.yaml"), &text).expect(sentence);
            let found: Vec<String> = wishes
                .iter()
                .map(|wish| format!("{} {}", wish.kind(), wish.name))
                .collect();
            assert_eq!(found, names, "{sentence}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_file_object_value_and_fix() {
        for (sentence, text, said) in [
            (
                "no YAML",
                "a: [",
                "pools.yaml is no YAML: line 1 column 4: unclosed bracket '['",
            ),
            (
                "a text",
                "just text",
                "pools.yaml: \"just text\" is no object: write apiVersion, kind, metadata and spec",
            ),
            (
                "a list",
                "[1, 2]",
                "pools.yaml: [1,2] is no object: write apiVersion, kind, metadata and spec",
            ),
            (
                "another kind",
                "{apiVersion: v1, kind: Service, metadata: {name: web}}",
                "pools.yaml: Service \"web\" of \"v1\" is nothing that a plan is made for: leave only \
                 IPAddressPools and L2Advertisements in the file, of bellwether.dev/v1beta1",
            ),
            (
                "an object of MetalLB",
                "{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, metadata: {name: lan}}",
                "pools.yaml: IPAddressPool \"lan\" is of \"metallb.io/v1beta1\": write apiVersion: \
                 bellwether.dev/v1beta1, and leave metadata.namespace out (docs/metallb.md)",
            ),
            (
                "another version",
                "{apiVersion: bellwether.dev/v1, kind: IPAddressPool, metadata: {name: lan}}",
                "pools.yaml: IPAddressPool \"lan\" is of \"bellwether.dev/v1\": write apiVersion: \
                 bellwether.dev/v1beta1",
            ),
            (
                "no name",
                "{apiVersion: bellwether.dev/v1beta1, kind: IPAddressPool}",
                "pools.yaml: the IPAddressPool has no name: write metadata.name",
            ),
        ] {
            let refused = parse(Path::new("pools.yaml"), text).expect_err(sentence);
            assert_eq!(refused.to_string(), said, "{sentence}");
        }
    }

    #[test]
    fn of_a_folder_its_yaml_and_json_is_read_by_name() {
        let folder = std::env::temp_dir().join(format!("bellwether-plan-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let nothing = read_all(std::slice::from_ref(&folder)).expect_err("an empty folder");
        assert!(nothing.to_string().contains(".yaml"), "{nothing}");
        for (name, text) in [("b.yml", POOL), ("a.yaml", ALL), ("README.md", "# Pools")] {
            std::fs::write(folder.join(name), text).expect("a file");
        }
        let found = read_all(std::slice::from_ref(&folder));
        let missing = read_all(&[folder.join("c.yaml")]).expect_err("no such file");
        std::fs::remove_dir_all(&folder).expect("it goes");
        let names: Vec<String> = found
            .expect("two objects")
            .into_iter()
            .map(|wish| wish.name)
            .collect();
        assert_eq!(names, ["all", "lan"]);
        assert!(
            missing
                .to_string()
                .contains("c.yaml cannot be read: No such file"),
            "{missing}"
        );
    }
}
