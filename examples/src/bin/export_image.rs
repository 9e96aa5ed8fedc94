//! An image in a layout and in an archive: `export_image DIR` makes both in DIR, and keeps it by name in its store too.
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use cache_blobs::chain::RemoteExt;
use cache_blobs::embedded::{Embedded, EmbeddedOptions};
use cache_blobs::layout::{LayoutOptions, OciLayout};
use cache_core::cache::{ImmutableRef, RefOptions};
use cache_core::ports::{Access, DiffOptions, MountedTree, TemporaryLease};
use exporter_image::history::LayerMeta;
use exporter_image::output::{ArchiveKind, OutputOptions, write_archive_file, write_layout};
use exporter_image::{ComposeOptions, ImageExporter, ImageLayer, compose_image};

const CONFIG: &str = r#"{"architecture":"amd64","os":"linux","config":{"Cmd":["/bin/cat","/etc/motd"]}}"#;
const NAME: &str = "example.com/motd:latest";

async fn step(
    store: &Embedded,
    parent: Option<&ImmutableRef>,
    (name, text): (&str, &str),
) -> Result<ImmutableRef, Box<dyn Error>> {
    let options = RefOptions::default().with_description(format!("write {name}"));
    let step = store.cache.create(parent, options).await?;
    let tree = step.mount(Access::ReadWrite).await?;
    fs::create_dir_all(tree.path().join("etc"))?;
    fs::write(tree.path().join("etc").join(name), text)?;
    drop(tree);
    Ok(step.commit().await?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: export_image DIR")?);
    pollster::block_on(async {
        let store = Embedded::open(directory.join("store"), EmbeddedOptions::default()).await?;
        let bottom = step(&store, None, ("issue", "an image\n")).await?;
        let top = step(&store, Some(&bottom), ("motd", "hello\n")).await?;
        let lease = TemporaryLease::create(store.backends.leases.as_ref()).await?;
        let remote = top.ensure_remote(lease.lease(), &store.layers, &DiffOptions::default()).await?;

        // The image is composed of values alone; then it is written wherever it is wanted.
        let chain = top.layer_chain();
        let layers = chain.iter().zip(remote.layers()).map(|(of, layer)| {
            ImageLayer::new(layer.layer.clone(), LayerMeta::new(of.description(), Some(of.created_at().to_utc())))
        });
        let layers: Vec<_> = layers.collect();
        let image = compose_image(&layers, &ComposeOptions::default().with_config(CONFIG))?;
        let pool = &store.backends.pool;
        let content = store.local.content.as_ref();
        let options = OutputOptions::new(store.backends.clock.now().to_utc()).with_names(vec![NAME.parse()?]);

        let layout = OciLayout::create(directory.join("image"), Arc::clone(pool), LayoutOptions::default()).await?;
        write_layout(&layout, &image, content, &options).await?;
        let archive = directory.join("image.tar");
        write_archive_file(pool.as_ref(), &image, content, ArchiveKind::Docker, &options, &archive).await?;
        let exporter = ImageExporter::into_store(store.local.content.clone(), lease.lease().clone())
            .with_image_store(store.local.images.clone());
        exporter.export(&image, content, &[NAME.to_owned()]).await?;
        println!("{} with {} layers", image.digest(), image.layers.len());
        Ok(())
    })
}
