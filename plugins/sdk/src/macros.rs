//! The macros that turn a function into a component.

/// Support for the macros' expansions; not for direct use.
#[doc(hidden)]
pub mod runtime {
    pub use crate::bindings::*;
    pub use std::sync::RwLock;

    /// Reads a configuration, and says what is wrong with it in words for the person who wrote it.
    pub fn parse_config<C: serde::de::DeserializeOwned>(text: &str) -> Result<C, String> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        serde_json::from_str(text).map_err(|error| format!("config: {error}"))
    }

    /// The declared paths as the ABI wants them.
    pub fn paths<P: AsRef<str>>(paths: impl IntoIterator<Item = P>) -> Vec<String> {
        paths.into_iter().map(|path| path.as_ref().to_owned()).collect()
    }
}

/// The part that all stages share: where the configuration is kept, and `configure`.
#[doc(hidden)]
#[macro_export]
macro_rules! __stage {
    ($config:ty, $paths:expr) => {
        struct Component;
        static CONFIG: $crate::runtime::RwLock<Option<$config>> = $crate::runtime::RwLock::new(None);

        /// Runs `f` with the configuration. The host configures an instance before its first call; a host that does
        /// not is refused by the trap.
        fn with_config<R>(f: impl FnOnce(&$config) -> R) -> R {
            f(CONFIG.read().expect("an unpoisoned lock").as_ref().expect("configure comes first"))
        }

        fn configure(text: String) -> Result<$crate::Declaration, String> {
            let config = $crate::runtime::parse_config::<$config>(&text)?;
            *CONFIG.write().expect("an unpoisoned lock") = Some(config);
            Ok($crate::Declaration { paths: $crate::runtime::paths($paths), form: $crate::InputForm::Tape })
        }
    };
}

/// Exports a component in its own module, for wasm only: natively there is nobody to export to.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($($item:item)*) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        mod __portcullis_component {
            #[allow(unused_imports)]
            use super::*;
            $($item)*
        }
    };
}

/// Exports an authenticator: `fn(&Config, &Input) -> Outcome`.
#[macro_export]
macro_rules! authenticator {
    ($config:ty, $paths:expr, $function:expr) => {
        $crate::__export! {
            $crate::__stage!($config, $paths);
            impl $crate::runtime::authenticator::exports::portcullis::policy::authenticator::Guest for Component {
                fn configure(config: String) -> Result<$crate::Declaration, String> {
                    configure(config)
                }
                fn authenticate(input: Vec<u8>) -> $crate::Outcome {
                    with_config(|config| $function(config, &$crate::Input::new(&input)))
                }
            }
            $crate::runtime::authenticator::__export_authenticator!(Component with_types_in $crate::runtime::authenticator);
        }
    };
}

/// Exports an authorizer: `fn(&Config, &Input) -> Decision`.
#[macro_export]
macro_rules! authorizer {
    ($config:ty, $paths:expr, $function:expr) => {
        $crate::__export! {
            $crate::__stage!($config, $paths);
            impl $crate::runtime::authorizer::exports::portcullis::policy::authorizer::Guest for Component {
                fn configure(config: String) -> Result<$crate::Declaration, String> {
                    configure(config)
                }
                fn authorize(input: Vec<u8>) -> $crate::Decision {
                    with_config(|config| $function(config, &$crate::Input::new(&input)))
                }
            }
            $crate::runtime::authorizer::__export_authorizer!(Component with_types_in $crate::runtime::authorizer);
        }
    };
}

/// Exports a mutator: `fn(&Config, &Input) -> Mutation`.
#[macro_export]
macro_rules! mutator {
    ($config:ty, $paths:expr, $function:expr) => {
        $crate::__export! {
            $crate::__stage!($config, $paths);
            impl $crate::runtime::mutator::exports::portcullis::policy::mutator::Guest for Component {
                fn configure(config: String) -> Result<$crate::Declaration, String> {
                    configure(config)
                }
                fn mutate(input: Vec<u8>) -> $crate::Mutation {
                    with_config(|config| $function(config, &$crate::Input::new(&input)))
                }
            }
            $crate::runtime::mutator::__export_mutator!(Component with_types_in $crate::runtime::mutator);
        }
    };
}

/// Exports a validator: `fn(&Config, &Input) -> Verdict`.
#[macro_export]
macro_rules! validator {
    ($config:ty, $paths:expr, $function:expr) => {
        $crate::__export! {
            $crate::__stage!($config, $paths);
            impl $crate::runtime::validator::exports::portcullis::policy::validator::Guest for Component {
                fn configure(config: String) -> Result<$crate::Declaration, String> {
                    configure(config)
                }
                fn validate(input: Vec<u8>) -> $crate::Verdict {
                    with_config(|config| $function(config, &$crate::Input::new(&input)))
                }
            }
            $crate::runtime::validator::__export_validator!(Component with_types_in $crate::runtime::validator);
        }
    };
}

/// Exports an object validator: `fn(&Config, &Input) -> Findings`.
#[macro_export]
macro_rules! object_validator {
    ($config:ty, $paths:expr, $function:expr) => {
        $crate::__export! {
            $crate::__stage!($config, $paths);
            impl $crate::runtime::object_validator::exports::portcullis::policy::object_validator::Guest for Component {
                fn configure(config: String) -> Result<$crate::Declaration, String> {
                    configure(config)
                }
                fn validate_object(input: Vec<u8>) -> $crate::Findings {
                    with_config(|config| $function(config, &$crate::Input::new(&input)))
                }
            }
            $crate::runtime::object_validator::__export_object_validator!(Component with_types_in $crate::runtime::object_validator);
        }
    };
}

/// Exports a converter: `fn(&Config, Value, &str) -> Result<Value, String>`, which is given an object and the
/// `apiVersion` that is wanted, and gives the object in that version (`apiVersion` is set for it). It is called for each
/// object of a batch; the first refusal is that of the batch.
#[macro_export]
macro_rules! converter {
    ($config:ty, $function:expr) => {
        $crate::__export! {
            $crate::__stage!($config, $crate::conversion::PATHS);
            impl $crate::runtime::converter::exports::portcullis::policy::converter::Guest for Component {
                fn configure(config: String) -> Result<$crate::Declaration, String> {
                    configure(config)
                }
                fn convert(input: Vec<u8>) -> Result<Vec<String>, String> {
                    with_config(|config| {
                        let convert = |object, wanted: &str| $function(config, object, wanted);
                        $crate::conversion::batch(&$crate::Input::new(&input), convert)
                    })
                }
            }
            $crate::runtime::converter::__export_converter!(Component with_types_in $crate::runtime::converter);
        }
    };
}

/// Exports a scheduler: `fn(&Config, &Input, &NodeBatch) -> Placement`, with the paths into the document
/// (`{"pod": ..}`) and the paths into each node.
#[macro_export]
macro_rules! scheduler {
    ($config:ty, $paths:expr, $node_paths:expr, $function:expr) => {
        $crate::__export! {
            $crate::__stage!($config, $paths);
            impl $crate::runtime::scheduler::exports::portcullis::policy::scheduler::Guest for Component {
                fn configure(config: String) -> Result<$crate::SchedulerDeclaration, String> {
                    let declaration = configure(config)?;
                    Ok($crate::SchedulerDeclaration {
                        paths: declaration.paths,
                        node_paths: $crate::runtime::paths($node_paths),
                        form: declaration.form,
                    })
                }
                fn place(input: Vec<u8>, batch: $crate::NodeBatch) -> $crate::Placement {
                    with_config(|config| $function(config, &$crate::Input::new(&input), &batch))
                }
            }
            $crate::runtime::scheduler::__export_scheduler!(Component with_types_in $crate::runtime::scheduler);
        }
    };
}
