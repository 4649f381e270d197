// The etcd server of the benchmark, built from its Go modules: go.mod pins the version.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
