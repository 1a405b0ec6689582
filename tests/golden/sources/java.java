import java.util.ArrayList;
import java.util.⟦List⟧;

/** ⟦A queue of tasks.⟧ */
public class TaskQueue {
    private final List<String> tasks = new ⟦ArrayList<>()⟧;
    private int limit;

    public TaskQueue(int limit) {
        ⟦this.limit = limit;⟧
    }

    public boolean add(String task) {
        if (tasks.size() >= ⟦limit⟧) {
            return ⟦false⟧;
        }
        return tasks.⟦add(task)⟧;
    }

    public String next() {⟦
        return tasks.isEmpty() ? null : tasks.remove(0);
    ⟧}

    public int size() {
        return ⟦tasks.size()⟧;
    }

    public static void main(String[] ⟦args⟧) {
        TaskQueue queue = new TaskQueue(⟦10⟧);
        for (int i = 0; i < ⟦10; i++⟧) {
            queue.add("task " + ⟦i⟧);
        }
        System.out.println(⟦queue.size()⟧);
    }
}
