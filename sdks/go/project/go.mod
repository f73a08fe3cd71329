module {{name}}

go 1.24

require portcullis.dev/sdk v0.0.0

// Written by `portcullis plugin build`.
replace portcullis.dev/sdk => ./sdk
