;; attack: import
;; tries: to import a core module, which could bring a memory along
;; layer: a guest imports nothing; inspected before it is compiled
;; without: inspection
;; verdict: refused guest.import
(component (type u32) (import "m" (core module (export "memory" (memory 1)))))
