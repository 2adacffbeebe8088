;; attack: import
;; tries: to import an instance
;; layer: a guest imports nothing; inspected before it is compiled
;; without: inspection
;; verdict: refused guest.import
(component (type u32) (import "i" (instance (export "f" (func)))))
