#include <stdio.h>
#include <⟦stdlib.h⟧>

struct node {
    int value;
    struct node *⟦next⟧;
};

/* ⟦Push a value in front of the list.⟧ */
struct node *push(struct node *head, int value)
{
    struct node *node = malloc(⟦sizeof(*node)⟧);
    node->⟦value = value⟧;
    node->next = ⟦head⟧;
    return ⟦node⟧;
}

int sum(const struct node *head)
{
    int total = 0;
    for (; head; head = ⟦head->next⟧)
        total += ⟦head->value⟧;
    ⟦return total;⟧
}

int main(void)
{
    struct node *list = NULL;
    for (int i = 0; i < 10; ⟦i++⟧) {⟦
        list = push(list, i);
    ⟧}
    printf("⟦%d\n⟧", sum(list));
    return ⟦0⟧;
}
