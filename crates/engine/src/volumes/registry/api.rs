//! Volumes and instances as dialects see them.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::model::{AddInstance, AddVolume, InstanceInfo, VolumeInfo};

impl Engine {
    /// All volumes, by id. The folder is looked through anew.
    pub async fn volumes(&self) -> Result<Vec<VolumeInfo>, EngineError> {
        todo!()
    }

    /// One volume. When the id is not known the folder is looked through again.
    pub async fn volume(&self, _id: &str) -> Result<VolumeInfo, EngineError> {
        todo!()
    }

    /// Adds a volume.
    pub async fn add_volume(&self, _volume: AddVolume) -> Result<VolumeInfo, EngineError> {
        todo!()
    }

    /// Forgets a volume that was added; its data and its points stay.
    pub async fn remove_volume(&self, _id: &str) -> Result<(), EngineError> {
        todo!()
    }

    /// All instances, by id. The folder is looked through anew.
    pub async fn instances(&self) -> Result<Vec<InstanceInfo>, EngineError> {
        todo!()
    }

    /// One instance. When the id is not known the folder is looked through again.
    pub async fn instance(&self, _id: &str) -> Result<InstanceInfo, EngineError> {
        todo!()
    }

    /// Adds an instance.
    pub async fn add_instance(&self, _instance: AddInstance) -> Result<InstanceInfo, EngineError> {
        todo!()
    }

    /// Forgets an instance that was added; its volumes and points stay.
    pub async fn remove_instance(&self, _id: &str) -> Result<(), EngineError> {
        todo!()
    }
}
