package export

import "github.com/leoflow/secrets-csi/internal/jsontext"

// appendJSON writes a node that firstFault finds nothing wrong with, compact and in
// ASCII. Numbers stay as they were written.
func (n node) appendJSON(out []byte) []byte {
	switch n.kind {
	case text:
		return jsontext.AppendText(out, n.text)
	case literal:
		return append(out, n.text...)
	case list:
		out = append(out, '[')
		for i, item := range n.items {
			out = item.appendJSON(separate(out, i))
		}
		return append(out, ']')
	case object:
		out = append(out, '{')
		for i, m := range n.members {
			out = append(jsontext.AppendText(separate(out, i), m.key), ':')
			out = m.value.appendJSON(out)
		}
		return append(out, '}')
	default:
		return append(out, "null"...)
	}
}

func separate(out []byte, i int) []byte {
	if i > 0 {
		return append(out, ',')
	}
	return out
}

// indentedJSON is the node as Airflow's Variable.set stores what is not a string:
// json.dumps with an indent of two.
func (n node) indentedJSON() string { return string(n.appendIndented(nil, "\n")) }

// appendIndented begins each line with a line break and the indent of the node.
func (n node) appendIndented(out []byte, line string) []byte {
	inner := line + "  "
	switch {
	case n.kind == list && len(n.items) > 0:
		for i, item := range n.items {
			out = append(append(out, "[,"[min(i, 1)]), inner...)
			out = item.appendIndented(out, inner)
		}
		return append(append(out, line...), ']')
	case n.kind == object && len(n.members) > 0:
		for i, m := range n.members {
			out = append(append(out, "{,"[min(i, 1)]), inner...)
			out = append(jsontext.AppendText(out, m.key), ": "...)
			out = m.value.appendIndented(out, inner)
		}
		return append(append(out, line...), '}')
	default:
		return n.appendJSON(out)
	}
}
