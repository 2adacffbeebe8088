;; attack: import
;; tries: to import a function at the top
;; layer: a guest imports nothing; inspected before it is compiled
;; without: inspection
;; verdict: refused guest.import
(component (type u32) (import "clock" (func (result u64))))
