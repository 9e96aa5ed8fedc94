//! `--output`: the result of a build as an image.

use std::path::PathBuf;
use std::sync::Arc;

use cache_blobs::chain::RemoteExt;
use cache_blobs::embedded::Embedded;
use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::cache::ImmutableRef;
use cache_core::ports::{Pool, TemporaryLease};
use cache_core::{CompressionConfig, Descriptor, Digest, MediaTypeFamily};
use exporter_image::history::LayerMeta;
use exporter_image::output::{ArchiveKind, OutputOptions, write_archive_file, write_layout};
use exporter_image::{ComposeOptions, ComposedImage, ImageExporter, ImageLayer, ImageName, compose_image};
use serde::Serialize;

use crate::args::Build;
use crate::base::Base;
use crate::cache_export::compression;
use crate::failure::Failure;
use crate::forced::Forced;
use crate::progress::progress;
use crate::spec::Spec;

/// Where an image goes.
#[derive(Clone, Debug)]
enum Place {
    /// The store, under the names.
    Store,
    /// A layout in a directory.
    Layout(PathBuf),
    /// An archive.
    Archive(PathBuf, ArchiveKind),
}

/// An image that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct ImageOutput {
    kind: String,
    place: Place,
    names: Vec<String>,
    family: MediaTypeFamily,
    compression: CompressionConfig,
    forced: Forced,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OutputReport {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) digest: Digest,
    pub(crate) name: Option<String>,
    #[serde(skip)]
    pub(crate) config_digest: Digest,
    #[serde(skip)]
    pub(crate) descriptor: Descriptor,
}

impl ImageOutput {
    pub(crate) fn of(spec: &Spec) -> Result<Self, Failure> {
        let common = ["name", "oci-mediatypes", "compression", "compression-level", "force-compression"];
        let place = match spec.kind() {
            "image" => {
                spec.accept(&[&common[..], &["push"]].concat())?;
                if spec.flag("push", false)? {
                    return Err(Failure::usage("push is not built yet"));
                }
                spec.require("name")?;
                Place::Store
            }
            kind @ ("oci" | "docker") => {
                spec.accept(&[&common[..], &["dest", "tar"]].concat())?;
                let destination = PathBuf::from(spec.require("dest")?);
                let archive = if kind == "docker" { ArchiveKind::Docker } else { ArchiveKind::Oci };
                match spec.flag("tar", true)? {
                    true => Place::Archive(destination, archive),
                    false => Place::Layout(destination),
                }
            }
            _ => return Err(spec.unknown_kind(&["image", "oci", "docker"], &["local", "tar", "registry"])),
        };
        let family = spec.family()?;
        let names = spec.get("name").map_or_else(Vec::new, |names| names.split(',').map(str::to_owned).collect());
        let compression = compression(spec, family)?;
        Ok(Self { kind: spec.kind().to_owned(), place, names, family, compression, forced: Forced::default() })
    }

    /// The compression of its layers.
    pub(crate) fn compression(&self) -> &CompressionConfig {
        &self.compression
    }

    /// Has new layers made in what the build forces, too.
    pub(crate) fn expect_forced(&mut self, forced: &Forced) {
        self.forced = forced.clone();
    }

    /// Writes the image of `top`.
    pub(crate) async fn export(
        &self,
        store: &Embedded,
        top: &ImmutableRef,
        lease: &TemporaryLease,
        base: Option<&Base>,
        config: Option<&[u8]>,
        arguments: &Build,
    ) -> Result<OutputReport, Failure> {
        let progress = progress(arguments.progress);
        let options = self.forced.options(&self.compression);
        let remote = top.ensure_remote(lease.lease(), &store.layers, &options).await?;
        let image = self.compose(top, &remote, base, config, arguments)?;
        let pool: &Arc<dyn Pool> = &store.backends.pool;
        let provider = store.local.content.as_ref();
        let created = store.backends.clock.now().to_utc();
        let parsed_names = || {
            let names = self.names.iter().map(|name| name.parse::<ImageName>());
            names.collect::<Result<Vec<_>, _>>().map_err(|error| Failure::usage(format!("{:?}: {error}", self.names)))
        };
        let listed = |names| OutputOptions::new(created).with_names(names).with_progress(Arc::clone(&progress));
        let failed =
            |error: exporter_image::Error| Failure::while_doing(format!("write the {} image", self.kind), error);
        match &self.place {
            Place::Store => {
                let exporter = ImageExporter::into_store(store.local.content.clone(), lease.lease().clone())
                    .with_image_store(store.local.images.clone())
                    .with_progress(Arc::clone(&progress));
                exporter.export(&image, provider, &self.names).await.map_err(failed)?;
            }
            Place::Layout(directory) => {
                let layout = OciLayout::create(directory, Arc::clone(pool), LayoutOptions::default()).await?;
                write_layout(&layout, &image, provider, &listed(parsed_names()?)).await.map_err(failed)?;
            }
            Place::Archive(file, kind) => {
                let options = listed(parsed_names()?);
                write_archive_file(pool.as_ref(), &image, provider, *kind, &options, file).await.map_err(failed)?;
            }
        }
        Ok(OutputReport {
            kind: self.kind.clone(),
            digest: image.digest(),
            name: if self.names.is_empty() { None } else { Some(self.names.join(",")) },
            config_digest: image.config.descriptor.digest,
            descriptor: image.manifest.descriptor.clone(),
        })
    }

    fn compose(
        &self,
        top: &ImmutableRef,
        remote: &cache_blobs::remote::Remote,
        base: Option<&Base>,
        config: Option<&[u8]>,
        arguments: &Build,
    ) -> Result<ComposedImage, Failure> {
        let layer = |(of, layer): (ImmutableRef, &cache_blobs::remote::RemoteLayer)| {
            ImageLayer::new(layer.layer.clone(), LayerMeta::new(of.description(), Some(of.created_at().to_utc())))
        };
        let layers: Vec<_> = top.layer_chain().into_iter().zip(remote.layers()).map(layer).collect();
        let mut options = ComposeOptions::default().with_family(self.family);
        if let Some(base) = base {
            options = options.with_base_config(base.config.clone());
        }
        match (config, base) {
            (Some(config), _) => options = options.with_config(config.to_vec()),
            (None, Some(base)) => options = options.with_config(base.config.clone()),
            (None, None) => {}
        }
        if let Some(platform) = &arguments.platform {
            options = options.with_platform(platform.clone());
        }
        compose_image(&layers, &options).map_err(|error| Failure::while_doing("compose the image", error))
    }
}
