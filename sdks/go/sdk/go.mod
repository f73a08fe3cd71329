module portcullis.dev/sdk

go 1.24
