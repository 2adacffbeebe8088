;; attack: import
;; tries: to import a resource, a handle to something of the host's
;; layer: a guest imports nothing; inspected before it is compiled
;; without: inspection
;; verdict: refused guest.import
(component (type u32) (import "r" (type (sub resource))))
