// Package arrival puts very many points into the order in which they arrived, in bounded memory: a Sorter takes them
// in the order in which they are stored and gives them back in the other one.
package arrival
