//! What the dialect is told at the start.

/// The instance and its region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlibabaConfig {
    /// Id of the instance that this server is; none: every well-formed id names it.
    pub instance_id: Option<String>,
    /// Zone of the region: schedules and the dates in names of snapshots are in it. An IANA name or an offset.
    pub time_zone: String,
}

impl Default for AlibabaConfig {
    fn default() -> Self {
        Self {
            instance_id: None,
            time_zone: "+08:00".to_owned(),
        }
    }
}
