module zksync-compat-package

go 1.19

require github.com/samuel/go-zookeeper v0.0.0-20201211165307-7117e9ea2414

require golang.org/x/net v0.17.0
