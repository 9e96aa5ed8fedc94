//! Images that the `manifest.json` of an archive lists, as Docker writes it.

use bytes::Bytes;
use cache_core::ports::BlobReader;
use cache_core::{Descriptor, Digest, DigestHasher, MediaType, MediaTypeFamily};
use futures::StreamExt;

use super::archive::ImageArchive;
use super::archive_entries::{Slice, blob_digest};
use super::choose::is_same_name;
use super::load::LoadOptions;
use crate::config::{EmptyLists, ImageConfig};
use crate::error::{DocumentProblem, Error, Result};
use crate::json;
use crate::manifest::Manifest;
use crate::output::DockerImage;

/// The file that makes an archive one of Docker's.
const MANIFEST: &str = "manifest.json";
/// Manifests of the index in the archive that are compared with what `manifest.json` says.
const MAX_COMPARED: usize = 64;

impl ImageArchive {
    /// The archive with a manifest for the image `name`, or for the only one there is. `manifest.json` alone says what the
    /// image is. If the archive also has a manifest of exactly that config and these layers, it is that one; else one is
    /// made, in Docker's media types.
    pub(super) async fn docker_image(
        mut self,
        name: Option<&str>,
        options: &LoadOptions,
    ) -> Result<(Self, Descriptor)> {
        let item = self.choose(name, options).await?;
        let (config, bytes) = self.docker_config(&item.config, options).await?;
        let parsed = ImageConfig::parse(&bytes, options.config_limits)
            .map_err(|error| self.problem(&item.config, error.into()))?;
        let paths = item.layers.unwrap_or_default();
        let diff_ids = parsed.rootfs.diff_ids;
        if paths.len() != diff_ids.len() {
            let problem = DocumentProblem::LayerCount { layers: paths.len(), diff_ids: diff_ids.len() };
            return Err(self.problem(MANIFEST, problem));
        }
        let mut layers = Vec::new();
        for (path, diff_id) in paths.iter().zip(diff_ids) {
            layers.push(self.docker_layer(path, diff_id).await?);
        }
        if let Some(manifest) = self.written_manifest(&config, &layers, options).await? {
            return Ok((self, manifest));
        }
        let manifest: Bytes = Manifest::new(MediaTypeFamily::Docker, config, layers).to_bytes(EmptyLists::Null)?.into();
        let descriptor = Descriptor::of(MediaType::DOCKER_MANIFEST, &manifest);
        self.made.insert(descriptor.digest, manifest);
        Ok((self, descriptor))
    }

    async fn choose(&self, name: Option<&str>, options: &LoadOptions) -> Result<DockerImage> {
        let limits = options.manifest_limits;
        let missing = || DocumentProblem::Missing { name: MANIFEST.to_owned() };
        let bytes = self.read(MANIFEST, limits).await?.ok_or_else(|| self.problem(MANIFEST, missing()))?;
        let items: Vec<DockerImage> =
            json::parse_list(&bytes, limits).map_err(|error| self.problem(MANIFEST, error.into()))?;
        let names =
            |items: &[DockerImage]| items.iter().flat_map(|item| item.repo_tags.iter().flatten().cloned()).collect();
        let candidates: Vec<String> = names(&items);
        let mut found: Vec<_> = match name {
            None => items,
            Some(name) => {
                let has_name = |item: &DockerImage| item.repo_tags.iter().flatten().any(|tag| is_same_name(tag, name));
                items.into_iter().filter(has_name).collect()
            }
        };
        let target = self.target().to_owned();
        match (found.pop(), found.is_empty()) {
            (Some(item), true) => Ok(item),
            (Some(_), false) => Err(Error::Choose { target, candidates }),
            (None, _) => Err(Error::NoSuchImage { target, wanted: name.unwrap_or("image").to_owned(), candidates }),
        }
    }

    async fn docker_config(&mut self, path: &str, options: &LoadOptions) -> Result<(Descriptor, Bytes)> {
        let (Some(slice), Some(bytes)) = (self.find(path), self.read(path, options.config_limits).await?) else {
            return Err(self.problem(MANIFEST, DocumentProblem::Path { name: path.to_owned() }));
        };
        let descriptor = Descriptor::of(MediaType::DOCKER_CONFIG, &bytes);
        // Docker names the config after its digest.
        let id = path.strip_suffix(".json").and_then(|id| format!("sha256:{id}").parse().ok());
        if let Some(digest) = blob_digest(path).or(id).filter(|digest| *digest != descriptor.digest) {
            return Err(self.problem(path, DocumentProblem::Digest { digest }));
        }
        self.blobs.insert(descriptor.digest, slice);
        Ok((descriptor, bytes))
    }

    /// The descriptor of a layer. Where the digest can be told from the DiffID or the path, whoever reads the layer
    /// verifies it; only of compressed layers under other names it is computed.
    async fn docker_layer(&mut self, path: &str, diff_id: Digest) -> Result<Descriptor> {
        let slice =
            self.find(path).ok_or_else(|| self.problem(MANIFEST, DocumentProblem::Path { name: path.to_owned() }))?;
        let media_type = self.layer_type(slice).await?;
        let digest = if media_type == MediaType::DOCKER_LAYER {
            diff_id
        } else {
            match blob_digest(path) {
                Some(digest) => digest,
                None => self.hash(slice).await?,
            }
        };
        if let Some(named) = blob_digest(path).filter(|named| *named != digest) {
            return Err(self.problem(path, DocumentProblem::Digest { digest: named }));
        }
        self.blobs.insert(digest, slice);
        Ok(Descriptor::new(media_type, digest, slice.size))
    }

    async fn layer_type(&self, slice: Slice) -> Result<MediaType> {
        let mut start = Vec::new();
        let mut chunks = self.reader(slice).read(0..4).await?;
        while let Some(chunk) = chunks.next().await {
            start.extend_from_slice(&chunk?);
        }
        Ok(match start.as_slice() {
            [0x1f, 0x8b, ..] => MediaType::DOCKER_LAYER_GZIP,
            [0x28, 0xb5, 0x2f, 0xfd] => MediaType::DOCKER_LAYER_ZSTD,
            _ => MediaType::DOCKER_LAYER,
        })
    }

    async fn hash(&self, slice: Slice) -> Result<Digest> {
        let mut hasher = DigestHasher::default();
        let mut chunks = self.reader(slice).read(0..slice.size).await?;
        while let Some(chunk) = chunks.next().await {
            hasher.update(&chunk?);
        }
        Ok(hasher.finish())
    }

    /// The manifest of this config and these layers that the index of the archive lists, if there is one.
    async fn written_manifest(
        &self,
        config: &Descriptor,
        layers: &[Descriptor],
        options: &LoadOptions,
    ) -> Result<Option<Descriptor>> {
        if self.find("oci-layout").is_none() {
            return Ok(None);
        }
        let index = self.index(options.manifest_limits).await?;
        let is_manifest = |entry: &&Descriptor| {
            [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST].contains(&entry.media_type)
                && self.blobs.contains_key(&entry.digest)
        };
        for entry in index.manifests.iter().filter(is_manifest).take(MAX_COMPARED) {
            let bytes = super::read_document::read_document(self, entry, options.manifest_limits).await?;
            let Ok(manifest) = Manifest::parse(&bytes, options.manifest_limits) else { continue };
            let digests = manifest.layers.iter().map(|layer| layer.digest);
            if manifest.config.digest == config.digest && digests.eq(layers.iter().map(|layer| layer.digest)) {
                return Ok(Some(entry.clone()));
            }
        }
        Ok(None)
    }
}
