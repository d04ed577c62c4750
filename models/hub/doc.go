// Package hub fetches model folders from the Hugging Face Hub, or from a server that
// speaks as the Hub does (a mirror, a proxy of a company, a test's).
//
//	h, err := hub.New(hub.Options{Endpoint: endpoint, Token: token})
//	listing, err := h.List(ctx, "onnx-community/Llama-3.2-1B-Instruct", "main")
//	variant, err := listing.Choose("q4f16")
//	plan, err := listing.Plan(variant)
//	result, err := h.Pull(ctx, plan, "./models/Llama-3.2-1B-Instruct", observer)
//
// Three kinds of requests are made:
//
//	GET /api/models/REPO/revision/REV             the commit that a branch or tag stands for
//	GET /api/models/REPO/tree/COMMIT?recursive=1  every file's size and hash, page by page
//	GET /REPO/resolve/COMMIT/PATH                 a file; large ones by redirect to another host
//
// A mirror may lack the second: then each wanted file is asked for by HEAD.
//
// What makes a transfer safe:
//
//   - The listing is of one commit, and it tells each file's content: the SHA-256 of
//     large files, git's SHA-1 of small ones. A file gets its name only after its size
//     and hash are as the listing says.
//   - Until then it grows under a name that holds that hash. What an earlier try left
//     behind is therefore the beginning of the same content, whichever commit, mirror
//     or storage host it came from, and is gone on with by a Range. An ETag could not
//     tell that: the Hub's ETag of a large file is its hash, but the storage host that
//     answers the Range has ETags of its own.
//   - Nothing is written outside the folder (os.Root), under a name that a file system
//     could take for something else, or past the size that the listing told.
//   - The token is sent to the endpoint's own scheme, host and port and to nobody that
//     it redirects to.
//   - A transfer has no time limit, but one that stands still has. Broken ones go on
//     where they broke, with growing pauses, until some tries in a row brought nothing.
package hub
