//! exporter-image
