;; attack: import
;; tries: to import the host's memory: a core module, which is no component
;; layer: only a component of the interface is a guest
;; without: inspection
;; verdict: refused guest.abi
(module (import "env" "memory" (memory 1)))
