//! The arguments of the tool, as docs/cli.md lists them.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are help texts, whose brackets are optional parts")]

use std::path::PathBuf;

use cache_core::Platform;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::spec::Spec;

/// BuildKit's cache layer over one directory, without a daemon.
#[derive(Debug, Parser)]
#[command(name = "layercache", version, max_term_width = 120)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs steps, each over the snapshot of the one before, and exports what they made.
    Build(Build),
    /// Packs the difference of two trees as a layer.
    Diff(Diff),
    /// Unpacks one layer over a directory.
    Apply(Apply),
    /// Converts a layer to another compression.
    Convert(Convert),
    /// Re-derives a blob from its recipe.
    Verify(Verify),
    /// Looks into remote caches and copies them.
    #[command(subcommand)]
    Cache(Cache),
    /// Looks into images and unpacks them.
    #[command(subcommand)]
    Image(Image),
    /// Lists what the store's records take.
    Du(Du),
    /// Frees records that are not in use.
    Prune(Prune),
    /// Lists or removes image names.
    Images(Images),
    /// Checks the store against its own records.
    Fsck(Fsck),
    /// Runs one step's command, and dies with the tool.
    #[command(name = crate::step::SUBCOMMAND, hide = true)]
    Step(Step),
}

/// A command of docs/cli.md that later work brings.
#[derive(Debug, Args)]
pub(crate) struct Unbuilt {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The directory of the embedded store.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// How snapshots are kept.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) snapshotter: SnapshotterChoice,
    /// The image to start from: oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME].
    #[arg(long, value_name = "SOURCE")]
    pub(crate) base: Option<String>,
    /// A step: a key, `=`, and the command for `sh -ec`.
    #[arg(long = "step", value_name = "KEY=COMMAND", required = true)]
    pub(crate) steps: Vec<String>,
    /// Image config JSON to patch.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The platform of the image.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
    /// A cache to look in: type=local,src=DIR[,tag=…][,digest=…].
    #[arg(long = "import-cache", value_name = "SPEC")]
    pub(crate) import_caches: Vec<Spec>,
    /// A cache to write: type=local,dest=DIR[,mode=min|max][,tag=…]….
    #[arg(long = "export-cache", value_name = "SPEC")]
    pub(crate) export_caches: Vec<Spec>,
    /// What to make: type=image,name=…, type=oci,dest=…[,tar=false] or type=docker,dest=….
    #[arg(long = "output", value_name = "SPEC")]
    pub(crate) outputs: Vec<Spec>,
    /// A file for the outputs' metadata.
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// How progress is told.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) progress: ProgressChoice,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SnapshotterChoice {
    /// What the store has already; else overlayfs where it can be mounted, else native.
    #[default]
    Auto,
    /// Layers by overlayfs; needs root.
    Overlayfs,
    /// Copies, with reflinks where the file system has them.
    Native,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressChoice {
    /// Plain lines.
    #[default]
    Auto,
    /// Plain lines.
    Plain,
    /// One JSON object a line.
    Json,
    /// None.
    Quiet,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DifferChoice {
    /// By what --upper is: an upperdir where it has whiteouts' marks, else a whole tree.
    #[default]
    Auto,
    /// --upper is an overlayfs upperdir.
    Overlay,
    /// --upper is a whole tree.
    Walking,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhiteoutChoice {
    /// What they name is removed.
    #[default]
    Remove,
    /// They become overlayfs whiteouts.
    Overlay,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityChoice {
    /// When the kernel likes.
    #[default]
    Relaxed,
    /// When the command ends.
    Synced,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The directory of the embedded store.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// Directories, topmost first, for an overlay; one tree for walking; empty for a bottom layer.
    #[arg(long, value_name = "DIR[:DIR...]")]
    pub(crate) lower: std::ffi::OsString,
    /// The upperdir, or the tree after the change.
    #[arg(long, value_name = "DIR")]
    pub(crate) upper: PathBuf,
    /// Which differ compares them.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) differ: DifferChoice,
    /// The compression: uncompressed, gzip, zstd, estargz or zstd:chunked.
    #[arg(long, default_value = "gzip")]
    pub(crate) compression: String,
    /// The codec's level.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) compression_level: Option<i32>,
    /// Compressing threads.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Bytes that packing may hold at a time.
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory: Option<usize>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The directory of the embedded store, which gets both blobs and keeps the new one until `prune --all`.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// The layer blob, in any compression.
    #[arg(long)]
    pub(crate) blob: PathBuf,
    /// The compression: uncompressed, gzip, zstd, estargz or zstd:chunked.
    #[arg(long)]
    pub(crate) compression: String,
    /// The codec's level.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) compression_level: Option<i32>,
    /// A file with a path a line: these files come first, which makes another tar. Only for estargz.
    #[arg(long, value_name = "LIST")]
    pub(crate) prioritized_files: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The directory of the embedded store.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// The blob, which must have its recipe with it.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) blob: cache_core::Digest,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The layer blob.
    #[arg(long)]
    pub(crate) blob: PathBuf,
    /// The directory to unpack over.
    #[arg(long)]
    pub(crate) into: PathBuf,
    /// What becomes of whiteouts.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) whiteouts: WhiteoutChoice,
    /// When the files are on the disk.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) durability: DurabilityChoice,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// What a remote cache holds.
    Inspect {
        /// The cache: type=local,src=DIR[,tag=…][,digest=…].
        spec: Spec,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Imports one cache and exports all of it again.
    Copy {
        /// The cache to read.
        from: Spec,
        /// The cache to write.
        to: Spec,
        /// The directory of the embedded store.
        #[arg(long)]
        store: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Writes out the file system that a record's result stands for.
    Checkout {
        /// The cache.
        spec: Spec,
        /// The record's digest.
        #[arg(long)]
        record: cache_core::Digest,
        /// The directory of the embedded store.
        #[arg(long)]
        store: PathBuf,
        /// An empty or absent directory.
        #[arg(long)]
        into: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Why a key is missed.
    Explain(Unbuilt),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// An image's manifest, config and layers.
    Inspect {
        /// The image: oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME].
        source: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Copies an image.
    Copy(Unbuilt),
    /// Writes out an image's file system.
    Unpack {
        /// The image.
        source: String,
        /// The directory of the embedded store.
        #[arg(long)]
        store: PathBuf,
        /// An empty or absent directory.
        #[arg(long)]
        into: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Du {
    /// The directory of the embedded store.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// The directory of the embedded store.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// Keep only what is in use and what an image name holds.
    #[arg(long)]
    pub(crate) all: bool,
    /// Stop when the records take no more than this.
    #[arg(long, value_name = "N")]
    pub(crate) keep_bytes: Option<u64>,
    /// Keep what was used within this time: a number and s, m, h or d.
    #[arg(long, value_name = "D")]
    pub(crate) keep_duration: Option<String>,
    /// Only records that one of these filters matches.
    #[arg(long = "filter", value_name = "F")]
    pub(crate) filters: Vec<String>,
    /// Say what would be freed.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Images {
    /// The directory of the embedded store.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// Remove this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) remove: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// The directory of the embedded store.
    #[arg(long)]
    pub(crate) store: PathBuf,
    /// Forget what is damaged, so that it is made again.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Step {
    /// The command for `sh -ec`.
    pub(crate) command: String,
}
