module github.com/graft-gateway/graft

go 1.26.8
