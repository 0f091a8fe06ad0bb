// Program toy prints what its functions return, for tests of the insertion of guards.
package main

import (
	"fmt"
	"strings"

	"example.test/toy/shapes"
)

func main() {
	square := &shapes.Square{Side: 3}
	fmt.Println("area", square.Area())
	fmt.Println("grown", square.Grown(2, 5))
	fmt.Println("kind", shapes.Kind(square.Side))
	fmt.Println("notes", strings.Join(shapes.Notes(), ","))
	value, err := shapes.Checked(7)
	fmt.Println("checked", value, err)
}
