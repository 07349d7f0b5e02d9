#!/usr/bin/env python3
"""Writes the image of one program as an archive, octet for octet the same for the same input.

The archive is an OCI image layout that `ctr images import` and `podman load` read, and has the
`manifest.json` that `docker load` reads. Nothing is in it that depends on the machine, the time or
the tool. Docker, podman and buildah each write another layer for the same file, and some of them
lose its capability; so they only read what this writes.
"""

import argparse
import datetime
import hashlib
import io
import json
import pathlib
import struct
import tarfile
import zlib

# linux/capability.h.
CAPABILITIES = {"net_raw": 13, "ipc_lock": 14, "sys_nice": 23}
# A file capability of revision 2, and the bit that makes what it permits effective at once.
REVISION = 0x02000000
EFFECTIVE = 0x000001
# Nobody: a number, because a kubelet cannot tell from a name that it is not root.
USER = "65534:65534"

OCI = "application/vnd.oci.image"


def main():
    options = arguments()
    created = datetime.datetime.fromtimestamp(options.epoch, datetime.timezone.utc)
    program = options.binary.name
    layer = root(options)
    packed = compress(layer)
    config = encode(
        {
            "architecture": options.arch,
            "os": "linux",
            "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "config": {
                "User": USER,
                "Entrypoint": [f"/{program}"],
                "WorkingDir": "/",
                "Labels": labels(options),
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
            "history": [
                {
                    "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "created_by": f"/{program}",
                }
            ],
        }
    )
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": descriptor(f"{OCI}.config.v1+json", config),
            "layers": [descriptor(f"{OCI}.layer.v1.tar+gzip", packed)],
            "annotations": labels(options),
        }
    )
    name = f"{options.repository}:{options.version}"
    index = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.index.v1+json",
        "manifests": [
            descriptor(f"{OCI}.manifest.v1+json", manifest)
            | {
                "platform": {"architecture": options.arch, "os": "linux"},
                "annotations": {
                    "io.containerd.image.name": name,
                    "org.opencontainers.image.ref.name": options.version,
                },
            }
        ],
    }
    for_docker = [
        {"Config": blob(config), "RepoTags": [name], "Layers": [blob(packed)]},
    ]
    files = {
        "oci-layout": encode({"imageLayoutVersion": "1.0.0"}),
        "index.json": encode(index),
        "manifest.json": encode(for_docker),
        blob(config): config,
        blob(manifest): manifest,
        blob(packed): packed,
    }
    options.output.write_bytes(archive(files, options.epoch))
    print(f"{name} {options.arch} {digest(manifest)} {len(packed)}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--repository", required=True, help="bellwether.dev/speaker")
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", required=True, help="the commit")
    parser.add_argument("--epoch", type=int, required=True, help="when the commit was made")
    parser.add_argument("--compiler", required=True, help="what `rustc --version` says")
    parser.add_argument("--arch", choices=["amd64", "arm64"], required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--capability", action="append", default=[], choices=CAPABILITIES)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    return parser.parse_args()


def labels(options):
    prefix = "org.opencontainers.image"
    return {
        f"{prefix}.title": options.title,
        f"{prefix}.version": options.version,
        f"{prefix}.revision": options.revision,
        f"{prefix}.source": options.source,
        f"{prefix}.licenses": "Apache-2.0",
        "dev.bellwether.compiler": options.compiler,
    }


def root(options):
    """The layer: the program, and nothing else."""
    content = options.binary.read_bytes()
    entry = tarfile.TarInfo(options.binary.name)
    entry.size = len(content)
    entry.mode = 0o755
    entry.mtime = options.epoch
    if options.capability:
        entry.pax_headers["SCHILY.xattr.security.capability"] = capability(options.capability)
    return pack([(entry, content)])


def capability(names):
    """The extended attribute of a file that `setcap` would write: struct vfs_cap_data."""
    permitted = sum(1 << CAPABILITIES[name] for name in names)
    value = struct.pack("<5I", REVISION | EFFECTIVE, permitted, 0, 0, 0)
    return value.decode("utf-8", "surrogateescape")


def archive(files, epoch):
    members = []
    for folder in ["blobs", "blobs/sha256"]:
        entry = tarfile.TarInfo(folder)
        entry.type = tarfile.DIRTYPE
        entry.mode = 0o755
        entry.mtime = epoch
        members.append((entry, b""))
    for name in sorted(files):
        entry = tarfile.TarInfo(name)
        entry.size = len(files[name])
        entry.mtime = epoch
        members.append((entry, files[name]))
    return pack(members)


def pack(members):
    octets = io.BytesIO()
    with tarfile.open(fileobj=octets, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:
        for entry, content in members:
            tar.addfile(entry, io.BytesIO(content))
    return octets.getvalue()


def compress(octets):
    """Gzip without a time or a name."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(octets) + packer.flush()


def encode(value):
    return json.dumps(value, indent=None, separators=(",", ":"), sort_keys=True).encode()


def descriptor(kind, content):
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}


def blob(content):
    return f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


if __name__ == "__main__":
    main()
