<?php

namespace App;

use App\Models\⟦User⟧;

class Mailer
{
    private array $queue = ⟦[]⟧;

    public function __construct(private string $⟦sender⟧)
    {
    }

    public function send(string $to, string $subject): bool
    {
        if (empty(⟦$to⟧)) {
            ⟦return false;⟧
        }
        $this->queue[] = [⟦'to' => $to, 'subject' => $subject⟧];
        return ⟦true⟧;
    }

    public function flush(): int
    {
        $count = count($this->⟦queue⟧);
        foreach ($this->queue as ⟦$mail⟧) {
            mail($mail['to'], ⟦$mail['subject']⟧, '');
        }
        $this->queue = ⟦[]⟧;
        return $count;
    }
}
