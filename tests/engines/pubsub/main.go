// A Pub/Sub server in memory, of Google's own client library, on loopback. It prints its address and
// lives until it is ended.
package main

import (
	"fmt"

	"cloud.google.com/go/pubsub/v2/pstest"
)

func main() {
	fmt.Println(pstest.NewServer().Addr)
	select {}
}
