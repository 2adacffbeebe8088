;; attack: 55
;; tries: to put bytes that are no text where a page is drawn: a lone continuation byte
;; layer: a text is UTF-8, or there is no report
;; without: the artefacts' form
;; verdict: failed
;; room: outer
(data (i32.const 3950) "b.txt\80")
(func $process (param $input i32) (param $rows i32) (param $columns i32) (param $count i32) (result i32) (call $ok))
(func $updated (param $columns i32) (result i32) (call $state (i32.const 3905) (i32.const 4)))
(func $composed (param $columns i32) (result i32)
  (call $fine)
  (if (i64.eq (call $cleared (local.get $columns)) (i64.const 1))
    (then (call $artefact (i32.const 3950) (i32.const 5) (i32.const 3955) (i32.const 1))))
  (call $report))
