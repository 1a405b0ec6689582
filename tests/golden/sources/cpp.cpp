#include <vector>
#include <⟦string⟧>

namespace geometry {

struct Point {
    double x = 0;
    ⟦double y = 0;⟧
};

class Polygon {
public:
    void add(const Point &point) { ⟦points_.push_back(point);⟧ }

    double area() const {
        double sum = 0;
        for (size_t i = 0; i < points_.⟦size()⟧; ++i) {
            const auto &a = points_[i];
            const auto &b = points_[⟦(i + 1) % points_.size()⟧];
            sum += ⟦a.x * b.y - a.y * b.x⟧;
        }
        return ⟦sum / 2⟧;
    }

private:
    std::vector<⟦Point⟧> points_;
};

}  // namespace ⟦geometry⟧
