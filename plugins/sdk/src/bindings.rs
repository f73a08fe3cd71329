//! What `wit-bindgen` makes of the worlds in `wit/`. Policies use the re-exports in the modules beside this one.
#![allow(missing_docs, unsafe_code, clippy::all)]

/// The imports and the types that the stages share, generated once.
pub mod common {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package portcullis:sdk;
            world imports {
                import portcullis:policy/types@0.1.0;
                import portcullis:policy/log@0.1.0;
                import portcullis:policy/clock@0.1.0;
                import portcullis:policy/random@0.1.0;
                import portcullis:policy/review@0.1.0;
                import portcullis:policy/cluster@0.1.0;
                import portcullis:policy/signatures@0.1.0;
                import portcullis:policy/scheduling@0.1.0;
            }
        ",
        world: "portcullis:sdk/imports",
        generate_all,
    });
}

/// One world. What it shares with the others (types, imports) is taken from [`common`], so that a `cause` made for a
/// validator is the `cause` of every other stage.
macro_rules! world {
    ($module:ident, $world:literal, $export:literal, $($interface:literal = $shared:ident),*) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                world: $world,
                pub_export_macro: true,
                export_macro_name: $export,
                with: {
                    $($interface: crate::bindings::common::portcullis::policy::$shared,)*
                },
            });
        }
    };
}

world!(
    authenticator,
    "authenticator-policy",
    "__export_authenticator",
    "portcullis:policy/types@0.1.0" = types,
    "portcullis:policy/log@0.1.0" = log,
    "portcullis:policy/clock@0.1.0" = clock,
    "portcullis:policy/random@0.1.0" = random,
    "portcullis:policy/review@0.1.0" = review,
    "portcullis:policy/cluster@0.1.0" = cluster,
    "portcullis:policy/signatures@0.1.0" = signatures
);

world!(
    authorizer,
    "authorizer-policy",
    "__export_authorizer",
    "portcullis:policy/types@0.1.0" = types,
    "portcullis:policy/log@0.1.0" = log,
    "portcullis:policy/clock@0.1.0" = clock,
    "portcullis:policy/random@0.1.0" = random,
    "portcullis:policy/review@0.1.0" = review,
    "portcullis:policy/cluster@0.1.0" = cluster
);

world!(
    mutator,
    "mutator-policy",
    "__export_mutator",
    "portcullis:policy/types@0.1.0" = types,
    "portcullis:policy/log@0.1.0" = log,
    "portcullis:policy/clock@0.1.0" = clock,
    "portcullis:policy/random@0.1.0" = random,
    "portcullis:policy/review@0.1.0" = review,
    "portcullis:policy/cluster@0.1.0" = cluster
);

world!(
    validator,
    "validator-policy",
    "__export_validator",
    "portcullis:policy/types@0.1.0" = types,
    "portcullis:policy/log@0.1.0" = log,
    "portcullis:policy/clock@0.1.0" = clock,
    "portcullis:policy/random@0.1.0" = random,
    "portcullis:policy/review@0.1.0" = review,
    "portcullis:policy/cluster@0.1.0" = cluster,
    "portcullis:policy/signatures@0.1.0" = signatures
);

world!(
    object_validator,
    "object-validator-policy",
    "__export_object_validator",
    "portcullis:policy/types@0.1.0" = types,
    "portcullis:policy/log@0.1.0" = log,
    "portcullis:policy/clock@0.1.0" = clock,
    "portcullis:policy/random@0.1.0" = random,
    "portcullis:policy/review@0.1.0" = review
);

world!(
    converter,
    "converter-policy",
    "__export_converter",
    "portcullis:policy/types@0.1.0" = types,
    "portcullis:policy/log@0.1.0" = log,
    "portcullis:policy/clock@0.1.0" = clock,
    "portcullis:policy/random@0.1.0" = random,
    "portcullis:policy/review@0.1.0" = review
);

world!(
    scheduler,
    "scheduler-policy",
    "__export_scheduler",
    "portcullis:policy/types@0.1.0" = types,
    "portcullis:policy/log@0.1.0" = log,
    "portcullis:policy/clock@0.1.0" = clock,
    "portcullis:policy/random@0.1.0" = random,
    "portcullis:policy/review@0.1.0" = review,
    "portcullis:policy/cluster@0.1.0" = cluster,
    "portcullis:policy/scheduling@0.1.0" = scheduling
);
