//! The settings that all families of tasks have in common.

use std::path::Path;

use autoloss_data::HoldOut;

use super::errors::TaskSettingsError;
use super::name::TaskName;
use crate::train::TrainingSettings;

/// Settings of one training of a task of some family.
pub(super) trait FamilyKeys: Clone + PartialEq {
    /// Those that all families have.
    fn common(&self) -> Common<'_>;

    /// True if both settings have the same data: they differ in nothing but settings that data do not depend on.
    fn has_data_of(&self, other: &Self) -> bool;

    /// The error naming the first value outside its range.
    fn check(&self) -> Result<(), TaskSettingsError>;
}

/// Settings that all families have.
#[derive(Clone, Copy)]
pub(super) struct Common<'a> {
    pub(super) name: TaskName,
    pub(super) data: Option<&'a Path>,
    pub(super) hold_out: HoldOut,
    /// Bytes of decoded examples kept in memory.
    pub(super) cache: usize,
    pub(super) training: &'a TrainingSettings,
}

impl Common<'_> {
    /// The first value of training and split outside its range.
    pub(super) fn check(&self) -> Result<(), TaskSettingsError> {
        self.training.check().map_err(TaskSettingsError)?;
        self.hold_out.check().map_err(TaskSettingsError)
    }

    /// A folder of data where the task brings its own, or none where it needs one.
    pub(super) fn check_data(&self) -> Result<(), TaskSettingsError> {
        let task = self.name;
        match (task.is_embedded(), self.data) {
            (true, Some(_)) => {
                let same =
                    |other: &&TaskName| !other.is_embedded() && other.family() == task.family();
                let others = TaskName::ALL.iter().filter(same);
                let others: Vec<String> = others.map(|other| format!("--task {other}")).collect();
                Err(TaskSettingsError(format!(
                    "the task `{task}` brings its own data: for yours add {}",
                    others.join(" or ")
                )))
            }
            (false, None) => Err(TaskSettingsError(format!(
                "the task `{task}` needs a data set: give its folder with --data DIR"
            ))),
            _ => Ok(()),
        }
    }
}

/// Defines the settings of a family: its own keys, with those of all families around them. `free` are own keys that
/// the data do not depend on.
macro_rules! task_settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            own { $($(#[$own_meta:meta])* $own:ident: $own_type:ty,)* }
            scenes { $(#[$scenes_meta:meta])* $scenes:ident: $scenes_type:ty, }
            networks { $($(#[$net_meta:meta])* $net:ident: $net_type:ty,)* }
            augmentation: $augmentation:ty,
            free: [$($free:ident),*],
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The task.
            pub name: $crate::tasks::name::TaskName,
            /// Name of the metric that candidates are scored by.
            pub metric: String,
            /// Name of the device of the networks.
            pub device: String,
            /// Folder of the data set; embedded ones need none.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub data: Option<std::path::PathBuf>,
            $($(#[$own_meta])* pub $own: $own_type,)*
            /// Share of the training examples that is held out as the search set.
            pub search_share: f64,
            /// Search examples at most; 0: as many as the share gives.
            pub search_images: usize,
            /// Another seed holds out other examples.
            pub split_seed: u64,
            /// Validation examples that results are scored on; 0: all.
            pub val_images: usize,
            /// Megabytes of decoded examples kept in memory.
            pub cache_mb: usize,
            $(#[$scenes_meta])*
            #[serde(default)]
            pub $scenes: $scenes_type,
            $($(#[$net_meta])* pub $net: $net_type,)*
            /// The training.
            pub training: $crate::train::TrainingSettings,
            /// Random changes of training examples.
            pub augmentation: $augmentation,
        }

        impl $name {
            fn common(&self) -> $crate::tasks::keys::Common<'_> {
                $crate::tasks::keys::Common {
                    name: self.name,
                    data: self.data.as_deref(),
                    hold_out: ::autoloss_data::HoldOut {
                        share: self.search_share,
                        most: self.search_images,
                        seed: self.split_seed,
                    },
                    cache: self.cache_mb.saturating_mul(1 << 20),
                    training: &self.training,
                }
            }
        }

        impl $crate::tasks::keys::FamilyKeys for $name {
            fn common(&self) -> $crate::tasks::keys::Common<'_> {
                self.common()
            }

            fn has_data_of(&self, other: &Self) -> bool {
                let other = other.clone();
                let alike = Self {
                    val_images: other.val_images,
                    $($net: other.$net.clone(),)*
                    training: other.training.clone(),
                    augmentation: other.augmentation.clone(),
                    $($free: other.$free,)*
                    ..self.clone()
                };
                alike == other
            }

            fn check(&self) -> Result<(), $crate::tasks::errors::TaskSettingsError> {
                self.check()
            }
        }
    };
}
pub(super) use task_settings;
