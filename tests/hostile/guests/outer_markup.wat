;; attack: 55
;; tries: to put a page with a script among the product's files
;; layer: artefacts are texts and chart specifications by their names; one that is neither spoils the report
;; without: the artefacts' form
;; verdict: failed
;; room: outer
(data (i32.const 3950) "index.html<script>alert(1)</script>")
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (call $ok))
(func $updated (param $columns i32) (result i32) (call $state (i32.const 3905) (i32.const 4)))
(func $composed (param $columns i32) (result i32)
  (call $fine)
  (if (i64.eq (call $cleared (local.get $columns)) (i64.const 1))
    (then (call $artefact (i32.const 3950) (i32.const 10) (i32.const 3960) (i32.const 25))))
  (call $report))
