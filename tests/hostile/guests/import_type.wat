;; attack: import
;; tries: to import a type
;; layer: a guest imports nothing; inspected before it is compiled
;; without: inspection
;; verdict: refused guest.import
(component (type u32) (import "t" (type (eq 0))))
