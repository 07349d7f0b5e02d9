//! The container image of the lab's own programs: an archive as `docker save` writes it, which is a
//! tar of tars.
//!
//! The pause container, the server and the proxy are one executable, so the three images share one
//! layer. It holds the executable and the libraries that it links to, at the paths where the loader
//! looks for them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ring::digest::{SHA256, digest};
use serde_json::json;

use crate::error::{Context, Error, Result};

/// What the container that holds a pod's namespaces runs.
pub const PAUSE: &str = "lab.bellwether.dev/pause:1";

/// A server: answers over TCP, HTTP and UDP with the pod's name.
pub const WEB: &str = "lab.bellwether.dev/web:1";

/// A reverse proxy.
pub const PROXY: &str = "lab.bellwether.dev/proxy:1";

/// Each image, and what the executable is asked to be in it.
const IMAGES: [(&str, &str); 3] = [(PAUSE, "pause"), (WEB, "pod"), (PROXY, "proxy")];

/// Where the executable is within an image.
const EXECUTABLE: &str = "bellwether-lab";

/// Writes the archive of all images to `path`. `executable` is `bellwether-lab`.
pub fn write(executable: &Path, path: &Path) -> Result<()> {
    let stripped = strip(executable, &path.with_extension("stripped"))?;
    let mut files = vec![(EXECUTABLE.to_owned(), stripped.clone())];
    for library in libraries(executable)? {
        let inside = library.display().to_string();
        files.push((inside.trim_start_matches('/').to_owned(), library));
    }
    let mut layer = tar::Builder::new(Vec::new());
    for (inside, outside) in files {
        let failed = || format!("cannot pack {}", outside.display());
        let content = fs::read(&outside).context(failed)?;
        append(&mut layer, &inside, &content, 0o755).context(failed)?;
    }
    let layer = layer
        .into_inner()
        .context(|| "cannot pack a layer".to_owned())?;
    let failed = || format!("cannot write {}", path.display());
    let mut archive = tar::Builder::new(File::create(path).context(failed)?);
    let layer_name = format!("{}.tar", hash(&layer));
    append(&mut archive, &layer_name, &layer, 0o644).context(failed)?;
    let mut manifest = Vec::new();
    for (image, verb) in IMAGES {
        let config = json!({
            "architecture": architecture(), "os": "linux",
            "config": {"Entrypoint": [format!("/{EXECUTABLE}"), verb]},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hash(&layer))]},
        })
        .to_string();
        let config_name = format!("{}.json", hash(config.as_bytes()));
        append(&mut archive, &config_name, config.as_bytes(), 0o644).context(failed)?;
        manifest.push(json!({"Config": config_name, "RepoTags": [image], "Layers": [&layer_name]}));
    }
    let manifest = json!(manifest).to_string();
    append(&mut archive, "manifest.json", manifest.as_bytes(), 0o644).context(failed)?;
    archive.finish().context(failed)?;
    fs::remove_file(&stripped).context(|| format!("cannot remove {}", stripped.display()))
}

/// This machine's processor, as images name it.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn hash(content: &[u8]) -> String {
    use std::fmt::Write;
    let digest = digest(&SHA256, content);
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, octet| {
            let written = write!(text, "{octet:02x}");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
            text
        })
}

fn append<W: std::io::Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    content: &[u8],
    mode: u32,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_mtime(0);
    archive.append_data(&mut header, name, content)
}

/// Leaves out what only a debugger reads, which is most of a debug build. Rust links with the tools
/// that `strip` belongs to, so it is there wherever the lab was built.
fn strip(executable: &Path, to: &Path) -> Result<PathBuf> {
    let stripped = Command::new("strip")
        .arg("-o")
        .args([to, executable])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !stripped {
        fs::copy(executable, to).context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(to.to_owned())
}

/// The shared libraries that an executable is linked to, the loader among them.
fn libraries(executable: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(executable)
        .output()
        .context(|| "cannot run ldd".to_owned())?;
    // A static executable is no error: ldd says that it is none of its business.
    let text = String::from_utf8(output.stdout)
        .map_err(|_| Error::Unexpected("ldd printed no text".to_owned()))?;
    let paths = text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Ok(paths.map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    /// The files of an archive.
    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().expect("an archive");
        entries
            .map(|entry| {
                let mut entry = entry.expect("an entry");
                let name = entry.path().expect("a path").display().to_string();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).expect("its content");
                (name, content)
            })
            .collect()
    }

    #[test]
    fn an_archive_holds_what_its_manifest_names_under_its_own_hash() {
        let folder = std::env::temp_dir().join(format!("image-test-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("lab.tar");
        write(Path::new("/bin/true"), &path).expect("an archive");
        let all = files(&fs::read(&path).expect("the archive"));
        fs::remove_dir_all(&folder).expect("tidying up");

        let manifest: Vec<serde_json::Value> =
            serde_json::from_slice(&all["manifest.json"]).expect("a manifest");
        assert_eq!(manifest.len(), IMAGES.len());
        for image in manifest {
            let config = &all[image["Config"].as_str().expect("a name")];
            let config: serde_json::Value = serde_json::from_slice(config).expect("a config");
            let layer = &all[image["Layers"][0].as_str().expect("a name")];
            assert_eq!(
                config["rootfs"]["diff_ids"][0],
                format!("sha256:{}", hash(layer))
            );
            let inside = files(layer);
            assert!(inside.contains_key(EXECUTABLE));
            let libc = inside.keys().any(|name| name.contains("libc.so"));
            assert!(libc, "{:?}", inside.keys());
        }
    }
}
