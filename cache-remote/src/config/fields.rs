//! Which member of which object goes where.

use std::marker::PhantomData;

use serde::de::{DeserializeOwned, MapAccess};

use super::legacy::LegacyItem;
use super::member::Member;
use super::read::{Budget, Field, Fields, List, Object, Present, objects};
use super::{CacheConfig, CacheInput, CacheLayer, CacheRecord, CacheResult, ChainedResult, LayerAnnotations};

fn scalar<'de, T: DeserializeOwned, A: MapAccess<'de>>(map: &mut A, into: &mut T) -> Result<Field, A::Error> {
    // Go leaves a field alone that is null.
    if let Some(value) = map.next_value::<Option<T>>()? {
        *into = value;
    }
    Ok(Field::Known)
}

/// A config of either schema.
#[derive(Default)]
pub(super) struct Whole {
    pub(super) config: CacheConfig,
    pub(super) items: Vec<LegacyItem>,
}

impl Fields for Whole {
    const NAME: &'static str = "a cache config";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Layers => self.config.layers = map.next_value_seed(objects(budget, &budget.layers))?,
            Member::Records => self.config.records = map.next_value_seed(objects(budget, &budget.records))?,
            Member::Items => self.items = map.next_value_seed(objects(budget, &budget.records))?,
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    }
}

impl Fields for CacheLayer {
    const NAME: &'static str = "a layer";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Blob => scalar(map, &mut self.blob),
            Member::Parent => scalar(map, &mut self.parent),
            Member::Annotations => {
                self.annotations = map.next_value_seed(Present(Object::new(budget)))?.map(Box::new);
                Ok(Field::Known)
            }
            _ => Ok(Field::Unknown),
        }
    }
}

impl Fields for LayerAnnotations {
    const NAME: &'static str = "the annotations of a layer";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, _: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::MediaType => scalar(map, &mut self.media_type),
            Member::DiffId => scalar(map, &mut self.diff_id),
            Member::Size => scalar(map, &mut self.size),
            Member::CreatedAt => scalar(map, &mut self.created_at),
            _ => Ok(Field::Unknown),
        }
    }
}

impl Fields for CacheRecord {
    const NAME: &'static str = "a record";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error> {
        let links = &budget.links;
        match key {
            Member::Layers => self.results = map.next_value_seed(objects(budget, links))?,
            Member::Chains => self.chains = map.next_value_seed(objects(budget, links))?,
            Member::Digest => return scalar(map, &mut self.digest),
            Member::Inputs => {
                let slot = || objects(budget, links);
                self.inputs = map.next_value_seed(List { budget, left: links, element: slot })?;
            }
            _ => return Ok(Field::Unknown),
        }
        Ok(Field::Known)
    }
}

impl Fields for CacheResult {
    const NAME: &'static str = "a result";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, _: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Layer => scalar(map, &mut self.layer),
            Member::CreatedAt => scalar(map, &mut self.created_at),
            _ => Ok(Field::Unknown),
        }
    }
}

impl Fields for ChainedResult {
    const NAME: &'static str = "a result by its layers";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, budget: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Layers => {
                let element = || PhantomData::<i64>;
                self.layers = map.next_value_seed(List { budget, left: &budget.links, element })?;
                Ok(Field::Known)
            }
            Member::CreatedAt => scalar(map, &mut self.created_at),
            _ => Ok(Field::Unknown),
        }
    }
}

impl Fields for CacheInput {
    const NAME: &'static str = "a link";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, _: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Selector => scalar(map, &mut self.selector),
            Member::Link => scalar(map, &mut self.link),
            _ => Ok(Field::Unknown),
        }
    }
}

impl Fields for LegacyItem {
    const NAME: &'static str = "an item";

    fn field<'de, A: MapAccess<'de>>(&mut self, key: Member, map: &mut A, _: &Budget) -> Result<Field, A::Error> {
        match key {
            Member::Blobsum => scalar(map, &mut self.blob),
            Member::CacheKey => scalar(map, &mut self.cache_key),
            Member::ContentKey => scalar(map, &mut self.content_key),
            Member::Parent => scalar(map, &mut self.parent),
            Member::DiffId => scalar(map, &mut self.diff_id),
            _ => Ok(Field::Unknown),
        }
    }
}
