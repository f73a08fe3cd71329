use super::*;

const HEAD: &str = "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\n";
const KEY: &str = "{name: a, secret: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}";

/// What is said of a document, without what is said of every one.
fn said(document: &str, reload: bool) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), document).unwrap();
    match load(file.path(), reload) {
        Ok(_) => "fine".to_owned(),
        Err(error) => error.to_string().replace(&file.path().display().to_string(), "FILE"),
    }
}

#[test]
fn documents() {
    let decoding = "error while parsing file: error decoding encryption provider configuration file \"FILE\": ";
    let check = |document: &str, expected: &str| assert_eq!(said(document, false), expected, "{document}");
    check(
        "",
        "error while parsing file: error while loading file: encryption provider configuration file \"FILE\" is empty",
    );
    check("kind: X", &format!("{decoding}Object 'apiVersion' is missing"));
    check("apiVersion: v1", &format!("{decoding}Object 'Kind' is missing"));
    let other = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfigurations";
    let why = "no kind \"EncryptionConfigurations\" is registered for version \"apiserver.config.k8s.io/v1\"";
    check(other, &format!("{decoding}{why}"));
    let unknown = format!("{HEAD}resources: [{{resources: [secrets], provider: [], providers: [{{identity: {{}}}}]}}]");
    check(&unknown, &format!("{decoding}strict decoding error: unknown field \"resources[0].provider\""));
    let wrong = format!("{HEAD}resources: [{{resources: secrets}}]");
    let why = "json: cannot unmarshal string into Go struct field resources[0].resources of type []";
    check(&wrong, &format!("{decoding}{why}"));
    let missing = load(Path::new("/nowhere/x"), false).unwrap_err().to_string();
    assert!(missing.ends_with("error reading encryption provider configuration file \"/nowhere/x\": open /nowhere/x: no such file or directory"), "{missing}");
    check(
        &format!(
            "{HEAD}resources: [{{resources: [secrets, '*.apps'], providers: [{{aesgcm: {{keys: [{KEY}]}}}}, {{identity: {{}}}}]}}]"
        ),
        "fine",
    );
    check(
        &format!(
            "apiVersion: v1\nkind: EncryptionConfig\nresources: [{{resources: ['*.*'], providers: [{{identity: {{}}}}]}}]"
        ),
        "fine",
    );
}

/// The rules, on one entry for secrets with one provider.
#[test]
fn providers() {
    let check = |provider: &str, expected: &str| {
        let document = format!("{HEAD}resources: [{{resources: [secrets], providers: [{provider}]}}]");
        let expected = expected.replace("@", "resources[0].providers[0]");
        let expected = if expected == "fine" { expected } else { format!("error while parsing file: {expected}") };
        assert_eq!(said(&document, false), expected, "{provider}");
    };
    check("", "resources[0].providers: Required value: at least one resources[0].providers is required");
    check(
        "{}",
        "@: Invalid value: {\"AESGCM\":null,\"AESCBC\":null,\"Secretbox\":null,\"Identity\":null,\"KMS\":null}: provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity",
    );
    check(
        &format!("{{identity: {{}}, aescbc: {{keys: [{KEY}]}}}}"),
        "@: Invalid value: \"REDACTED\": more than one provider specified in a single element, should split into different list elements",
    );
    check("{aescbc: {keys: []}}", "@.aescbc.keys: Required value: at least one keys is required");
    check(
        "{aescbc: {keys: [{secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}",
        "@.aescbc.keys[0].name: Required value: name is a mandatory field for a key",
    );
    check(
        "{aesgcm: {keys: [{name: a}]}}",
        "@.aesgcm.keys[0].secret: Required value: secret is a mandatory field for a key",
    );
    check(
        "{aesgcm: {keys: [{name: a, secret: '?'}]}}",
        "@.aesgcm.keys[0].secret: Invalid value: \"REDACTED\": secrets must be base64 encoded",
    );
    check(
        "{aesgcm: {keys: [{name: a, secret: AAAA}]}}",
        "@.aesgcm.keys[0].secret: Invalid value: \"REDACTED\": secret is not of the expected length, got 3, expected one of [16 24 32]",
    );
    check(
        "{secretbox: {keys: [{name: a, secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}",
        "@.secretbox.keys[0].secret: Invalid value: \"REDACTED\": secret is not of the expected length, got 16, expected one of [32]",
    );
    let kms = |rest: &str| format!("{{kms: {{apiVersion: v2, {rest}}}}}");
    check(&kms("name: a, endpoint: 'unix:///x'"), "fine");
    check(&kms("endpoint: 'unix:///x'"), "@.kms.name: Required value: name is a mandatory field for a provider");
    check(
        &kms("name: 'a:b', endpoint: 'unix:///x'"),
        "@.kms.name: Invalid value: \"a:b\": invalid KMS provider name a:b, must not contain ':'",
    );
    check(&kms("name: a"), "@.kms.endpoint: Invalid value: \"\": endpoint is a mandatory field for a kms");
    check(
        &kms("name: a, endpoint: 'http://x/y'"),
        "@.kms.endpoint: Invalid value: \"http://x/y\": unsupported scheme \"http\" for KMS provider, only unix is supported",
    );
    check(
        &kms("name: a, endpoint: ':x'"),
        "@.kms.endpoint: Invalid value: \":x\": invalid endpoint for kms provider, error: parse \":x\": missing protocol scheme",
    );
    check(
        &kms("name: a, endpoint: 'unix:///x', timeout: 0s"),
        "@.kms.timeout: Invalid value: \"0s\": timeout should be a positive value",
    );
    check(
        &kms("name: a, endpoint: 'unix:///x', timeout: -3s"),
        "@.kms.timeout: Invalid value: \"-3s\": timeout should be a positive value",
    );
    check(
        &kms("name: a, endpoint: 'unix:///x', cachesize: 5"),
        "@.kms.cachesize: Invalid value: 5: cachesize is not supported in v2",
    );
    check(
        "{kms: {apiVersion: v3, name: a, endpoint: 'unix:///x'}}",
        "@.kms.apiVersion: Invalid value: \"v3\": unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported",
    );
    check(
        &format!("{},{}", kms("name: a, endpoint: 'unix:///x'"), kms("name: a, endpoint: 'unix:///y'")),
        "resources[0].providers[1].kms.name: Invalid value: \"a\": duplicate KMS provider name a, names must be unique",
    );
    check(
        &kms("endpoint: 'http:/x'"),
        "[@.kms.name: Required value: name is a mandatory field for a provider, @.kms.endpoint: Invalid value: \"http:/x\": unsupported scheme \"http\" for KMS provider, only unix is supported]",
    );
}

#[test]
fn resources() {
    let check = |names: &str, expected: &str| {
        let document = format!("{HEAD}resources: [{{resources: [{names}], providers: [{{identity: {{}}}}]}}]");
        let expected = if expected == "fine" {
            expected.to_owned()
        } else {
            format!("error while parsing file: resources[0].resources{expected}")
        };
        assert_eq!(said(&document, false), expected, "{names}");
    };
    check("secrets, configmaps, pandas.example.com", "fine");
    check("'*.', '*.apps'", "fine");
    check("", ": Required value: at least one resources[0].resources is required");
    check(
        "secrets, secrets",
        ": Invalid value: [\"secrets\",\"secrets\"]: the same resource cannot be specified multiple times",
    );
    let overlap = "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked";
    check("secrets, '*.'", &format!(": Invalid value: [\"secrets\",\"*.\"]: {overlap}"));
    check("a.b, '*.*'", &format!(": Invalid value: [\"a.b\",\"*.*\"]: {overlap}"));
    check("Secrets", "[0]: Invalid value: \"Secrets\": resource name should not contain capital letters");
    check(
        "'*'",
        "[0]: Invalid value: \"*\": use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources",
    );
    check(
        "secrets.*",
        "[0]: Invalid value: \"secrets.*\": encrypting the same resource across groups is not supported",
    );
    check(
        "events.events.k8s.io",
        "[0]: Invalid value: \"events.events.k8s.io\": '*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file",
    );
    check(
        "a.extensions",
        "[0]: Invalid value: \"a.extensions\": 'extensions' group has been removed and cannot be used for encryption",
    );
    check(
        "serviceipallocations",
        "[0]: Invalid value: \"serviceipallocations\": resources which do not have REST API/s cannot be encrypted",
    );
}

#[test]
fn sockets() {
    let check = |endpoint: &str, expected: &str| {
        let config = KmsConfig { endpoint: endpoint.to_owned(), ..KmsConfig::default() };
        assert_eq!(config.socket(), expected, "{endpoint}");
    };
    check("unix:///var/run/kms.sock", "/var/run/kms.sock");
    check("unix:///@name.sock", "@name.sock");
    check("unix:/tmp/x", "/tmp/x");
}
